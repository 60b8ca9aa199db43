// Sign a run with a private key that never leaves this browser: a JWT over dag_id, run_id and conf.
import { alertOf, byId, element } from "./dom.js";
import { confText } from "./job.js";
import { readKey, sign } from "./signing_key.js";

const MAX_TOKEN = 200_000; // what the server takes as check_payload
const MAX_KEY_FILE = 100_000;

class Signing {
  key = null;
  isSigned = false;

  constructor(box, form) {
    this.box = box;
    this.form = form;
    this.chooser = byId("sign-key");
    this.what = byId("sign-what");
  }

  listen() {
    this.chooser?.addEventListener("change", () => this.chooseKey(this.chooser.files[0]));
    this.box.addEventListener("change", () => this.show());
    this.what.addEventListener("toggle", () => this.showPayload());
    this.form.addEventListener("change", (event) => {
      if (!this.box.contains(event.target)) this.showPayload();
    });
    this.form.addEventListener("submit", (event) => this.onSubmit(event));
    this.show();
    if (this.chooser?.files.length) this.chooseKey(this.chooser.files[0]); // before this script was there
  }

  get mode() {
    return this.form.elements.sign_with?.value || "none";
  }

  show() {
    byId("sign-file")?.toggleAttribute("hidden", this.mode !== "file");
    this.what.hidden = this.mode === "none";
    this.showPayload();
  }

  async showPayload() {
    if (this.what.hidden || !this.what.open) return;
    const shown = byId("sign-payload");
    try {
      const { conf, ...rest } = this.claims(await confText());
      shown.textContent = JSON.stringify({ ...rest, conf: JSON.parse(conf) }, null, 2);
    } catch (error) {
      shown.textContent = error.message;
    }
  }

  claims(conf) {
    const { dagId, lifetime } = this.box.dataset;
    const times = lifetime ? { exp: Math.floor(Date.now() / 1000) + Number(lifetime) } : {};
    return { dag_id: dagId, run_id: this.form.elements.run_id.value, conf, ...times };
  }

  async chooseKey(file) {
    this.key = null;
    byId("sign-state").replaceChildren();
    if (!file) return;
    const algorithms = this.box.dataset.algorithms.split(",").filter(Boolean);
    this.key = await this.attempt(async () => readKey(file.size < MAX_KEY_FILE ? await file.text() : "", algorithms));
    if (this.key) this.tellKey();
  }

  tellKey() {
    const name = element("code", this.key.fingerprint);
    if (this.box.dataset.trusted.split(" ").includes(this.key.fingerprint)) {
      tell("info", "The run will be signed by ", name, ` with ${this.key.algorithm}.`);
    } else {
      tell("warning", "The server does not know this key, and will refuse its signature: ", name);
    }
  }

  async onSubmit(event) {
    if (this.isSigned || event.defaultPrevented) return;
    this.form.elements.conf.value = "";
    this.form.elements.check_payload.value = "";
    if (this.mode !== "file") return;
    event.preventDefault();
    if (await this.attempt(() => this.sign())) this.submit(event.submitter);
    else this.chooser.focus();
  }

  submit(submitter) {
    this.isSigned = true;
    this.form.requestSubmit(submitter || undefined);
    this.isSigned = false;
  }

  async sign() {
    if (!this.key) throw new Error("Choose the file with your private key.");
    const conf = await confText();
    const token = await sign(this.key, this.claims(conf));
    if (token.length > MAX_TOKEN) {
      throw new Error(
        "This job is too long to be signed in a browser. Sign it with cwl-ui-plugin trigger, or by this server.",
      );
    }
    this.form.elements.check_payload.value = token;
    this.form.elements.conf.value = conf;
    return true;
  }

  async attempt(act) {
    try {
      return await act();
    } catch (error) {
      tell("error", error.message);
      return null;
    }
  }
}

function tell(kind, ...content) {
  byId("sign-state").replaceChildren(alertOf(kind, ...content));
}

const box = byId("signing");
const form = byId("trigger-form");
if (box && form) new Signing(box, form).listen();
