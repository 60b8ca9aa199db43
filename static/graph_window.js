// Which part of a drawn graph is in sight, and how large: what does not fit is scrolled.
const SCALE = { least: 0.1, most: 3, fitted: 1.1, readable: 0.925 }; // the smallest text of a graph is of 12 pixels
const HEIGHT = { least: 140, most: 680, share: 0.7 };
const USUAL_WIDTH = 800; // of a frame that is not shown yet
const MARGIN = 16;
const SCROLLBAR = 16;
const DRAG_PIXELS = 4; // less is a click
export const ZOOM_FACTOR = 1.25;

export class GraphWindow {
  scale = 1;
  isMoved = false; // by hand: then a new size of the page leaves it alone
  wasDragged = false;
  isFull = false;
  size = { width: 0, height: 0 };

  constructor(frame, svg) {
    this.frame = frame;
    this.svg = svg;
  }

  get width() {
    return this.frame.clientWidth || USUAL_WIDTH;
  }

  get mostHeight() {
    if (this.isFull) return Math.max(HEIGHT.least, innerHeight - this.frame.getBoundingClientRect().top - MARGIN);
    return Math.min(HEIGHT.most, Math.max(2 * HEIGHT.least, innerHeight * HEIGHT.share));
  }

  listen() {
    this.frame.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.frame.addEventListener("pointerdown", (event) => this.onPress(event));
  }

  // How much of something {width, height} would be out of sight at a size that can be read, beside and below.
  hidden({ width, height }) {
    return [Math.max(0, width * SCALE.readable - this.width), Math.max(0, height * SCALE.readable - this.mostHeight)];
  }

  // As large as it can be with all of it in sight, but not smaller than can be read; from its beginning.
  fit(placed, first) {
    if (!placed?.width) return;
    this.resize(placed, Math.max(SCALE.readable, this.whole(placed)));
    this.frame.scrollTop = first.across ? this.middle(first.y, first.height, this.frame.clientHeight) : 0;
    this.frame.scrollLeft = first.across ? 0 : this.middle(first.x, first.width, this.width);
    this.isMoved = false;
  }

  // All of it in sight, however small.
  fitWhole(placed) {
    if (placed?.width) this.resize(placed, Math.max(SCALE.least, this.whole(placed)));
    this.isMoved = true;
  }

  whole({ width, height }) {
    return Math.min(SCALE.fitted, this.width / width, this.mostHeight / height);
  }

  middle(from, size, room) {
    return (from + size / 2) * this.scale - room / 2;
  }

  resize({ width, height }, scale = this.scale) {
    this.size = { width, height };
    this.scale = scale;
    this.svg.setAttribute("viewBox", `0 0 ${width.toFixed(1)} ${height.toFixed(1)}`);
    this.svg.setAttribute("width", (width * scale).toFixed(1));
    this.svg.setAttribute("height", (height * scale).toFixed(1));
    const bar = width * scale > this.width + 1 ? SCROLLBAR : 0;
    const wanted = this.isFull ? this.mostHeight : Math.min(this.mostHeight, height * scale + bar);
    this.frame.style.height = `${Math.max(HEIGHT.least, Math.ceil(wanted) + 2)}px`;
  }

  // Larger or smaller, with the place {x, y} of the frame where it is.
  zoom(factor, at = { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 }) {
    const scale = Math.min(SCALE.most, Math.max(SCALE.least, this.scale * factor));
    const by = scale / this.scale;
    const [left, top] = [this.frame.scrollLeft + at.x, this.frame.scrollTop + at.y];
    this.resize(this.size, scale);
    this.frame.scrollTo(left * by - at.x, top * by - at.y);
    this.isMoved = true;
  }

  // Where a box is in the frame, to put it there again after something has opened.
  placeOf(box) {
    return { x: box.x * this.scale - this.frame.scrollLeft, y: box.y * this.scale - this.frame.scrollTop };
  }

  putBack(box, { x, y }) {
    this.frame.scrollTo(box.x * this.scale - x, box.y * this.scale - y);
  }

  // Move a node that has got the focus into sight.
  show(box) {
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.frame;
    const right = shift(box.x * this.scale - scrollLeft, box.width * this.scale, clientWidth);
    const down = shift(box.y * this.scale - scrollTop, box.height * this.scale, clientHeight);
    if (right || down) this.frame.scrollBy(right, down);
  }

  onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // what is around it scrolls
    event.preventDefault();
    const box = this.frame.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  onPress(start) {
    this.wasDragged = false;
    if (start.button || start.pointerType === "touch") return; // a finger scrolls by itself
    const { scrollLeft, scrollTop } = this.frame;
    const move = (now) => {
      const [right, down] = [now.clientX - start.clientX, now.clientY - start.clientY];
      if (!this.wasDragged && Math.hypot(right, down) < DRAG_PIXELS) return;
      this.wasDragged = this.isMoved = true;
      this.svg.classList.add("dragged");
      this.frame.scrollTo(scrollLeft - right, scrollTop - down);
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
  if (from < MARGIN) return from - MARGIN;
  return from + size > room - MARGIN ? Math.min(from + size + MARGIN - room, from - MARGIN) : 0;
}
