// Shows each frame with the pipeline's results while the page is visible.

import { ask, blobOf, element, repeat } from "/static/api.js";
import { Labels } from "/static/labels.js";
import { placeBoxes } from "/static/places.js";

const MOTION = [0, 216, 168]; // red, green, blue
const LINE_PX = 2; // width of the outline of motion, on the screen
const AROUND = [[1, 0], [-1, 0], [0, 1], [0, -1], [0.7, 0.7], [0.7, -0.7], [-0.7, 0.7], [-0.7, -0.7]];
const RETRY_MS = 1000; // pause after an error
const FADE_S = 1.5; // regions of the last invocation disappear after this time

const picture = document.getElementById("picture");
const packed = document.getElementById("packed");
const boxes = document.getElementById("boxes");
const layers = document.getElementById("layers");
const veil = document.getElementById("veil");
const tinted = document.createElement("canvas");
const outline = document.createElement("canvas");

export const shows = (layer) => layers.querySelector(`[value=${layer}]`).checked;

/** Shows frames for as long as the page is open. onSize: called with the picture's size in px.
 *  namesTaken: gives the rectangles that names of shapes have. onFrame: called with a RequestError and null, or with null and the snapshot. */
export async function watch({ onSize, onFrame, namesTaken }) {
  await repeat(0, async () => {
    try {
      const { picture: jpeg, snapshot } = await ask("/api/frame");
      await draw(jpeg, snapshot, onSize, namesTaken);
      veil.hidden = true;
      onFrame(null, snapshot);
    } catch (error) {
      veil.hidden = false;
      veil.textContent = error.message;
      onFrame(error, null);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  });
}

async function draw(jpeg, snapshot, onSize, namesTaken) {
  const image = await createImageBitmap(blobOf(jpeg, "image/jpeg"));
  const sight = snapshot.sight;
  if (picture.width !== image.width || picture.height !== image.height) {
    picture.width = image.width;
    picture.height = image.height;
  }
  const brush = picture.getContext("2d");
  brush.drawImage(image, 0, 0);
  onSize(sight?.width ?? snapshot.width, sight?.height ?? snapshot.height);
  if (sight && shows("motion")) await drawMotion(brush, sight.motion_png);
  boxes.replaceChildren(...(sight ? drawnBoxes(sight, namesTaken()) : []));
  if (packed.closest("details").open) await drawPacked(sight?.canvas ?? null, snapshot.sight === null);
}

/** Draws an outline around the white areas of the mask, so that the picture stays as it is. */
async function drawMotion(brush, png) {
  const mask = await createImageBitmap(blobOf(png, "image/png"));
  [tinted.width, tinted.height] = [mask.width, mask.height];
  const tint = tinted.getContext("2d", { willReadFrequently: true });
  tint.drawImage(mask, 0, 0);
  const pixels = tint.getImageData(0, 0, mask.width, mask.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data.set([...MOTION, pixels.data[at]], at); // as opaque as the mask is white
  }
  tint.putImageData(pixels, 0, 0);
  const [width, height] = [outline.width, outline.height] = [picture.width, picture.height];
  const line = outline.getContext("2d");
  line.imageSmoothingEnabled = false;
  const thick = Math.max(1.5, LINE_PX * (width / (picture.clientWidth || width)));
  for (const [x, y] of AROUND) line.drawImage(tinted, x * thick, y * thick, width, height);
  line.globalCompositeOperation = "destination-out";
  line.drawImage(tinted, 0, 0, width, height);
  brush.drawImage(outline, 0, 0);
}

function drawnBoxes(sight, taken) {
  const unit = sight.width / (picture.clientWidth || sight.width);
  const labels = new Labels([sight.width, sight.height], unit, taken);
  const boxed = (kind, box, label) => drawnBox(kind, box, label, labels);
  const score = (value) => ` ${Math.round(value * 100)} %`;
  const drawn = [];
  if (shows("region")) drawn.push(...drawnRegions(sight, boxed));
  if (shows("detection")) {
    drawn.push(...sight.detections.map((d) => boxed("detection", d.box_px, d.label + score(d.score))));
  }
  if (shows("track")) {
    drawn.push(...sight.tracks.map((t) =>
      boxed(`track ${t.state}`, t.box_px, `${t.label} ${t.track_id}${score(t.score)}`)));
  }
  if (shows("place")) drawn.push(...placeBoxes(sight).map((one) => boxed(...one)));
  return drawn;
}

/** Most frames have no regions; those of the last invocation fade, so that a person can follow. */
function drawnRegions({ regions_px: regions, canvas }, boxed) {
  if (regions.length) return regions.map((box) => boxed("region", box));
  const strength = canvas ? 1 - canvas.age_s / FADE_S : 0;
  if (strength <= 0) return [];
  const drawn = canvas.cells.map((cell) => boxed("region", cell.crop_px));
  for (const region of drawn) region.setAttribute("opacity", strength);
  return drawn;
}

function drawnBox(kind, box, label, labels) {
  const [x0, y0, x1, y1] = box;
  const rect = element("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
  if (!label) return element("g", { class: kind }, rect);
  const [x, y] = labels.place(box, label);
  return element("g", { class: kind }, rect, element("text", { x, y, text: label }));
}

async function drawPacked(canvas, isPaused) {
  const caption = document.getElementById("packed-caption");
  if (canvas === null) {
    caption.textContent = isPaused ? "The analysis is paused." : "No invocation yet.";
    return;
  }
  const image = await createImageBitmap(blobOf(canvas.jpeg, "image/jpeg"));
  packed.width = image.width;
  packed.height = image.height;
  const brush = packed.getContext("2d");
  brush.drawImage(image, 0, 0);
  brush.strokeStyle = "#f0a92b";
  brush.lineWidth = 1.5;
  for (const { cell_px: [x0, y0, x1, y1] } of canvas.cells) {
    brush.strokeRect(x0 + 1, y0 + 1, x1 - x0 - 2, y1 - y0 - 2);
  }
  const crops = canvas.cells.length === 1 ? "1 crop" : `${canvas.cells.length} crops`;
  caption.textContent = `${crops}, ${canvas.width} × ${canvas.height} px, ${canvas.age_s.toFixed(1)} s ago`;
}
