// Which part of a drawn graph is in sight, and how large: zoom and pan.
const SCALE = { least: 0.1, most: 3, fitted: 1.1 };
const HEIGHT = { least: 140, most: 560 };
const USUAL_WIDTH = 800; // of a frame that is not shown yet
const MARGIN = 8;
const DRAG_PIXELS = 4; // less is a click
export const ZOOM_FACTOR = 1.25;

export class GraphWindow {
  at = { x: 0, y: 0, scale: 1 };
  isMoved = false; // by hand: then a new size of the page leaves it alone
  wasDragged = false;

  constructor(frame, svg, canvas) {
    this.frame = frame;
    this.svg = svg;
    this.canvas = canvas;
  }

  get width() {
    return this.frame.clientWidth || USUAL_WIDTH;
  }

  // How large something {width, height} can be drawn.
  scaleOf({ width, height }) {
    return Math.min(this.width / width, HEIGHT.most / height);
  }

  listen() {
    this.svg.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.svg.addEventListener("pointerdown", (event) => this.onPress(event));
  }

  fit(placed) {
    if (!placed?.width) return;
    const scale = Math.min(SCALE.fitted, this.scaleOf(placed));
    const height = Math.min(HEIGHT.most, Math.max(HEIGHT.least, placed.height * scale));
    this.svg.style.height = `${height}px`;
    this.put((this.width - placed.width * scale) / 2, (height - placed.height * scale) / 2, scale);
    this.isMoved = false;
  }

  zoom(factor, [x, y] = [this.frame.clientWidth / 2, this.svg.clientHeight / 2]) {
    const scale = Math.min(SCALE.most, Math.max(SCALE.least, this.at.scale * factor));
    const by = scale / this.at.scale;
    this.put(x - (x - this.at.x) * by, y - (y - this.at.y) * by, scale);
  }

  put(x, y, scale) {
    this.at = { x, y, scale };
    this.isMoved = true;
    this.canvas.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${scale.toFixed(3)})`);
  }

  // Move a node that has got the focus into sight.
  show(box) {
    const { x, y, scale } = this.at;
    const right = shift(x + box.x * scale, box.width * scale, this.frame.clientWidth);
    const down = shift(y + box.y * scale, box.height * scale, this.svg.clientHeight);
    if (right || down) this.put(x + right, y + down, scale);
  }

  onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    const box = this.svg.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
  }

  onPress(start) {
    this.wasDragged = false;
    if (start.button) return;
    const { x, y } = this.at;
    const move = (now) => {
      const [right, down] = [now.clientX - start.clientX, now.clientY - start.clientY];
      if (!this.wasDragged && Math.hypot(right, down) < DRAG_PIXELS) return;
      this.wasDragged = true;
      this.svg.classList.add("dragged");
      this.put(x + right, y + down, this.at.scale);
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      this.svg.classList.remove("dragged");
    };
    addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, stop, { once: true });
  }
}

// How far a stretch has to move to be in the room.
function shift(from, size, room) {
  if (from < MARGIN) return MARGIN - from;
  return from + size > room - MARGIN ? Math.max(room - MARGIN - from - size, MARGIN - from) : 0;
}
