/** A node to be placed. */
export interface Box {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** From one node to another. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
}

/** A point; of a node, its upper left corner. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where everything is. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<string, Point>;
  /** For each arrow, in their order, the points it goes through, from the right of one node to the left of another. */
  readonly lines: readonly (readonly Point[])[];
}

/** How far apart layers, nodes and lines are. */
const BETWEEN = { layers: 92, nodes: 18, lines: 10 };
/** How often nodes are put in order, and moved towards their neighbours. */
const SWEEPS = 12;

/** A node in a layer, or a place where a line passes through it. */
interface Slot {
  readonly height: number;
  readonly layer: number;
  readonly before: Slot[];
  readonly behind: Slot[];
  order: number;
  /** Of its centre. */
  y: number;
}

/**
 * Places the nodes of a graph without cycles in layers, from left to right, each behind all that it comes after.
 *
 * This is Sugiyama's way: layers by the longest path, order by barycentres, then each layer as near to its neighbours as
 * its order allows.
 */
export function layOut(boxes: readonly Box[], arrows: readonly Arrow[]): Layout {
  const layerOf = layersOf(boxes, arrows);
  const layers: Slot[][] = [];
  const add = (height: number, layer: number): Slot => {
    const slots = layers[layer] ??= [];
    const slot = { height, layer, before: [], behind: [], order: slots.length, y: 0 };
    slots.push(slot);
    return slot;
  };
  const slots = new Map(boxes.map((box) => [box.id, add(box.height, layerOf.get(box.id)!)]));
  const paths = arrows.map(({ from, to }) => {
    const [first, last] = [slots.get(from)!, slots.get(to)!];
    const path = [first];
    for (let layer = first.layer + 1; layer < last.layer; layer++) path.push(add(0, layer));
    path.push(last);
    for (const [i, slot] of path.slice(1).entries()) {
      path[i]!.behind.push(slot);
      slot.before.push(path[i]!);
    }
    return path;
  });
  putInOrder(layers);
  settle(layers);
  const widths = layers.map((_, layer) =>
    Math.max(...boxes.filter(({ id }) => layerOf.get(id) === layer).map(({ width }) => width))
  );
  const lefts = widths.map((_, layer) =>
    widths.slice(0, layer).reduce((sum, width) => sum + width + BETWEEN.layers, 0)
  );
  const all = layers.flat();
  const top = Math.min(0, ...all.map(({ y, height }) => y - height / 2));
  const places = new Map(boxes.map(({ id, height }) => {
    const { layer, y } = slots.get(id)!;
    return [id, { x: lefts[layer]!, y: y - height / 2 - top }];
  }));
  const widthOf = new Map(boxes.map(({ id, width }) => [id, width]));
  const lines = paths.map((path, i) => [
    {
      x: lefts[path[0]!.layer]! + widthOf.get(arrows[i]!.from)!,
      y: path[0]!.y - top,
    },
    ...path.slice(1, -1).flatMap(({ layer, y }) => [
      { x: lefts[layer]!, y: y - top },
      { x: lefts[layer]! + widths[layer]!, y: y - top },
    ]),
    { x: lefts[path.at(-1)!.layer]!, y: path.at(-1)!.y - top },
  ]);
  return {
    width: (lefts.at(-1) ?? 0) + (widths.at(-1) ?? 0),
    height: Math.max(0, ...all.map(({ y, height }) => y + height / 2 - top)),
    places,
    lines,
  };
}

/** Each node's layer: one more than the last of those before it. */
function layersOf(boxes: readonly Box[], arrows: readonly Arrow[]): Map<string, number> {
  const before = Map.groupBy(arrows, ({ to }) => to);
  const layers = new Map<string, number>();
  function visit(id: string): number {
    const known = layers.get(id);
    if (known !== undefined) return known;
    layers.set(id, 0);
    const layer = Math.max(0, ...(before.get(id) ?? []).map(({ from }) => visit(from) + 1));
    layers.set(id, layer);
    return layer;
  }
  for (const { id } of boxes) visit(id);
  return layers;
}

/** Puts each layer in the order of its neighbours' middle, forth and back. */
function putInOrder(layers: readonly Slot[][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forth = sweep % 2 === 0;
    for (const layer of forth ? layers : layers.toReversed()) {
      const middles = new Map(layer.map((slot) => {
        const near = forth ? slot.before : slot.behind;
        return [slot, near.length === 0 ? slot.order : mean(near.map(({ order }) => order))];
      }));
      layer.sort((a, b) => middles.get(a)! - middles.get(b)!);
      layer.forEach((slot, order) => slot.order = order);
    }
  }
}

/** Moves each layer as near to its neighbours as its order allows. */
function settle(layers: readonly Slot[][]): void {
  for (const layer of layers) {
    let y = 0;
    for (const slot of layer) {
      slot.y = y;
      y += slot.height + BETWEEN.nodes;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forth = sweep % 2 === 0;
    for (const layer of forth ? layers : layers.toReversed()) {
      const wanted = layer.map((slot) => {
        const near = forth ? slot.before : slot.behind;
        return near.length === 0 ? slot.y : mean(near.map(({ y }) => y));
      });
      const offsets = [0];
      for (const [i, slot] of layer.slice(1).entries()) {
        const last = layer[i]!;
        const between = last.height === 0 || slot.height === 0 ? BETWEEN.lines : BETWEEN.nodes;
        offsets.push(offsets[i]! + (last.height + slot.height) / 2 + between);
      }
      const fitted = rising(wanted.map((y, i) => y - offsets[i]!));
      layer.forEach((slot, i) => slot.y = fitted[i]! + offsets[i]!);
    }
  }
}

/** The numbers that never fall and are nearest to these: neighbours that fall are put on their mean. */
function rising(numbers: readonly number[]): number[] {
  const blocks: { sum: number; count: number }[] = [];
  for (const number of numbers) {
    blocks.push({ sum: number, count: 1 });
    while (blocks.length > 1) {
      const [last, block] = [blocks.at(-2)!, blocks.at(-1)!];
      if (last.sum / last.count <= block.sum / block.count) break;
      blocks.splice(-2, 2, { sum: last.sum + block.sum, count: last.count + block.count });
    }
  }
  return blocks.flatMap(({ sum, count }) => Array(count).fill(sum / count));
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** A smooth line through points, as SVG's `d`. */
export function smooth([first, ...rest]: readonly Point[]): string {
  let last = first!;
  const parts = [`M${last.x},${last.y}`];
  for (const point of rest) {
    const middle = (last.x + point.x) / 2;
    parts.push(
      last.y === point.y
        ? `L${point.x},${point.y}`
        : `C${middle},${last.y} ${middle},${point.y} ${point.x},${point.y}`,
    );
    last = point;
  }
  return parts.join("");
}
