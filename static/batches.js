// Give a sheet: dropped, chosen or pasted. Without this the form works, too, for pasted tables that are not too long.
import { alertOf, byId, element } from "./dom.js";
import { onDrop } from "./dropped_files.js";
import { send } from "./http.js";

class SheetForm {
  dropped = null;

  constructor(form) {
    this.form = form;
    this.message = byId("sheet-message");
  }

  listen() {
    onDrop(byId("sheet-drop"), (found) => this.take(found));
    this.form.elements.sheet.addEventListener("change", () => this.go());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.go();
    });
  }

  take(found) {
    if (!found.length) return;
    [[, this.dropped]] = found;
    this.go();
  }

  content() {
    const data = new FormData(this.form);
    const pasted = data.get("pasted");
    data.delete("pasted");
    if (this.dropped) data.set("sheet", this.dropped, this.dropped.name);
    else if (pasted) data.set("pasted", new File([pasted], "pasted.csv", { type: "text/csv" }));
    return data;
  }

  async go() {
    this.message.replaceChildren(element("p", "Reading the sheet and checking its rows…", "muted"));
    try {
      const answer = await send("POST", this.form.action, this.content());
      location.assign(answer.url);
    } catch (error) {
      if (error.data?.html) {
        this.message.innerHTML = error.data.html;
      } // made by the server, which escapes the sheet
      else this.message.replaceChildren(alertOf("error", element("strong", error.message)));
      this.form.elements.sheet.value = "";
    }
    this.dropped = null;
  }
}

const form = byId("sheet-form");
if (form) new SheetForm(form).listen();
