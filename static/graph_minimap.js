// A large graph in small, with the part that is in sight; it moves where it is pressed. For the mouse only: whoever
// uses the keyboard goes from node to node, or searches.
import { make } from "./graph_drawing.js";

const SIZE = { width: 168, height: 120 };
const LARGER = 1.3; // than the frame, in one direction: then there is a map
const LEAST_FRAME = 480;

export class Minimap {
  constructor(graphWindow, around) {
    this.window = graphWindow;
    this.around = around;
    this.svg = make("svg", { class: "graph-map", "aria-hidden": "true" });
    this.nodes = make("g");
    this.view = make("rect", { class: "view" });
    this.svg.append(this.nodes, this.view);
    graphWindow.frame.addEventListener("scroll", () => this.follow(), { passive: true });
    this.svg.addEventListener("pointerdown", (event) => this.onPress(event));
  }

  draw({ width, height, boxes }) {
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const scale = width && height ? Math.min(SIZE.width / width, SIZE.height / height) : 0;
    this.svg.setAttribute("width", (width * scale).toFixed(1));
    this.svg.setAttribute("height", (height * scale).toFixed(1));
    const drawn = boxes.map((box) => rectOf(box));
    this.rects = new Map(boxes.map((box, at) => [box.node.id, drawn[at]]));
    this.nodes.replaceChildren(...drawn);
    this.follow();
  }

  paint(id, state) {
    const rect = this.rects?.get(id);
    if (!rect) return;
    if (state) rect.dataset.state = state;
    else delete rect.dataset.state;
  }

  follow() {
    const { frame, scale, size } = this.window;
    const [width, height] = [frame.clientWidth / scale, frame.clientHeight / scale];
    const isLarge = size.width > width * LARGER || size.height > height * LARGER;
    if (!isLarge || frame.clientWidth < LEAST_FRAME) this.svg.remove();
    else if (!this.svg.isConnected) this.around.append(this.svg);
    const shown = { x: frame.scrollLeft / scale, y: frame.scrollTop / scale, width, height };
    for (const [name, value] of Object.entries(shown)) this.view.setAttribute(name, value.toFixed(1));
  }

  onPress(start) {
    start.preventDefault();
    const go = (event) => this.centre(event);
    go(start);
    addEventListener("pointermove", go);
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => removeEventListener("pointermove", go), { once: true });
    }
  }

  centre({ clientX, clientY }) {
    const { frame, scale, size } = this.window;
    const box = this.svg.getBoundingClientRect();
    const [x, y] = [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
    frame.scrollTo(x * size.width * scale - frame.clientWidth / 2, y * size.height * scale - frame.clientHeight / 2);
    this.window.isMoved = true;
  }
}

function rectOf({ node, x, y, width, height, isOpen }) {
  return make("rect", { class: isOpen ? `${node.kind} open` : node.kind, x, y, width, height, rx: 6 });
}
