// Look again and again: more and more seldom while there is nothing new, and not at all while nobody sees the page.
export class Polling {
  timer = null;
  isLooking = false;
  isDue = false; // asked for while it looks: what it sees then may be from before

  // `look` returns whether there is something new, or for how many milliseconds to rest; it may fail. `most` and `isOver`
  // are asked each time.
  constructor(look, { first, most, slower = 1.2, isOver = () => false }) {
    Object.assign(this, { look, first, most, slower, isOver, pause: first });
  }

  begin() {
    document.addEventListener("visibilitychange", () => this.again());
    this.schedule();
  }

  again() {
    this.pause = this.first;
    this.schedule();
  }

  schedule() {
    clearTimeout(this.timer);
    if (this.isOver() || document.hidden) return;
    this.timer = setTimeout(() => this.now(), this.pause);
    this.pause = Math.min(Math.max(this.pause, this.first) * this.slower, this.most());
  }

  async now() {
    clearTimeout(this.timer);
    this.isDue = this.isLooking;
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const news = await this.look();
      if (news !== false) this.pause = news === true ? this.first : news;
    } catch {
      /* the server is away: the next look may find it */
    }
    this.isLooking = false;
    if (this.isDue) this.now();
    else this.schedule();
  }
}
