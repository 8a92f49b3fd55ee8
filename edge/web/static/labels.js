// Places for the names of boxes, so that they neither cover each other nor leave the picture.

const HEIGHT = 18; // px on the screen, of a line
const WIDTH = 7.6; // of a character, at most on average

/** One drawing's names. size: [width, height] of the picture; unit: its pixels per pixel of the
 *  screen; taken: rectangles [x0, y0, x1, y1] that others' names have. */
export class Labels {
  constructor(size, unit, taken = []) {
    this.size = size;
    this.unit = unit;
    this.taken = [...taken];
  }

  /** [x, y] of the left end of a baseline: above the box, below it, inside it, or further up or
   *  down, whichever is free first. */
  place([x0, y0, x1, y1], text) {
    const height = HEIGHT * this.unit;
    const width = Math.min(text.length * WIDTH * this.unit, this.size[0]);
    const left = Math.min(Math.max(x0, 0), this.size[0] - width);
    const right = Math.min(Math.max(x1 - width, 0), this.size[0] - width);
    const tops = [y0 - height, y1, y0, y1 - height];
    for (let line = 1; line <= 6; line += 1) tops.push(y0 - (1 + line) * height, y1 + line * height);
    const spots = tops.flatMap((top) => [[left, top], [right, top]])
      .filter(([, top]) => top >= 0 && top + height <= this.size[1])
      .map(([x, top]) => [x, top, x + width, top + height]);
    const spot = spots.find((one) => !this.taken.some((other) => overlap(one, other))) ?? spots[0]
      ?? [left, 0, left + width, height];
    this.taken.push(spot);
    return [spot[0], spot[3] - 0.28 * height];
  }
}

function overlap([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) {
  return ax0 < bx1 && bx0 < ax1 && ay0 < by1 && by0 < ay1;
}
