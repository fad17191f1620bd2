/**
 * Where the tiles go: pure arithmetic, no DOM.
 *
 * Invariant: tiles of one grid are equal, never overlap, and are as large as the area allows.
 */

export interface Size {
  width: number;
  height: number;
}

export interface Grid {
  columns: number;
  rows: number;
  tile: Size;
  /** More tiles than fit at a size where a face can be known: the grid scrolls. */
  scrolls: boolean;
}

/**
 * Narrowest and widest picture a tile may have; between them it takes the shape of its cell. Cameras
 * give wide pictures; on an upright phone a face cut out of one is larger than the whole picture.
 */
const ASPECT_MIN = 4 / 3;
const ASPECT_MIN_UPRIGHT = 3 / 4;
const ASPECT_MIN_ALONE = 1 / 2;
const ASPECT_MAX = 16 / 9;

/** Smaller, and a face is a dot. */
const TILE_MIN: Size = { width: 136, height: 112 };

export function arrange(count: number, area: Size, gap: number): Grid {
  const aspectMin = count === 1 ? ASPECT_MIN_ALONE : area.width < area.height ? ASPECT_MIN_UPRIGHT : ASPECT_MIN;
  let best: Grid | undefined;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cell = {
      width: (area.width - gap * (columns - 1)) / columns,
      height: (area.height - gap * (rows - 1)) / rows,
    };
    const tile = fit(cell, aspectMin);
    if (!best || score(tile) > score(best.tile)) best = { columns, rows, tile, scrolls: false };
  }
  if (best && isLargeEnough(best.tile)) return best;
  return scrolling(count, area, gap);
}

/** How many tiles are seen without scrolling. */
export function inSight(grid: Grid, area: Size, gap: number): number {
  const rows = Math.max(1, Math.floor((area.height + gap) / (grid.tile.height + gap)));
  return grid.columns * (grid.scrolls ? rows : grid.rows);
}

/** On a phone held upright, two people: the other fills the screen and one's own picture floats. */
export function isDuo(count: number, area: Size): boolean {
  return count === 2 && area.width < 600 && area.height > area.width;
}

function scrolling(count: number, area: Size, gap: number): Grid {
  const columns = Math.max(1, Math.min(count, Math.floor((area.width + gap) / (TILE_MIN.width + gap))));
  const width = Math.floor((area.width - gap * (columns - 1)) / columns);
  const height = Math.max(TILE_MIN.height, Math.floor((width * 3) / 4));
  return { columns, rows: Math.ceil(count / columns), tile: { width, height }, scrolls: true };
}

function fit(cell: Size, aspectMin: number): Size {
  const width = Math.max(0, cell.width);
  const height = Math.max(0, cell.height);
  return {
    width: Math.floor(Math.min(width, height * ASPECT_MAX)),
    height: Math.floor(Math.min(height, width / aspectMin)),
  };
}

/** Area, but a shape far from what cameras give is worth less: it is cut or boxed. */
function score(tile: Size): number {
  const aspect = tile.width / Math.max(1, tile.height);
  return tile.width * tile.height * (aspect < 1 ? 0.7 + 0.3 * aspect : 1);
}

function isLargeEnough(tile: Size): boolean {
  return tile.width >= TILE_MIN.width && tile.height >= TILE_MIN.height;
}
