import { describe, expect, it } from 'vitest';
import { arrange, inSight, isDuo } from './layout';

const LAPTOP = { width: 1256, height: 690 };
const PHONE = { width: 374, height: 640 };
const GAP = 8;

describe('arrange', () => {
  it.each([1, 2, 3, 4, 5, 6, 9, 12, 16, 25])('%i tiles stay inside the area without overlap', (count) => {
    for (const area of [LAPTOP, PHONE]) {
      const grid = arrange(count, area, GAP);
      expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(count);
      expect(grid.columns * (grid.tile.width + GAP) - GAP).toBeLessThanOrEqual(area.width);
      if (!grid.scrolls) expect(grid.rows * (grid.tile.height + GAP) - GAP).toBeLessThanOrEqual(area.height);
    }
  });

  it('puts two side by side on a laptop and one above the other on a phone', () => {
    expect(arrange(2, LAPTOP, GAP)).toMatchObject({ columns: 2, rows: 1 });
    expect(arrange(2, PHONE, GAP)).toMatchObject({ columns: 1, rows: 2 });
  });

  it('scrolls rather than make faces unrecognisable', () => {
    const grid = arrange(40, PHONE, GAP);
    expect(grid.scrolls).toBe(true);
    expect(grid.tile.width).toBeGreaterThanOrEqual(136);
    expect(inSight(grid, PHONE, GAP)).toBeLessThan(40);
  });

  it('survives an area that has no size yet', () => {
    expect(arrange(3, { width: 0, height: 0 }, GAP).columns).toBe(1);
    expect(arrange(0, LAPTOP, GAP).rows).toBe(0);
  });
});

it('isDuo is for two people on an upright phone', () => {
  expect(isDuo(2, PHONE)).toBe(true);
  expect(isDuo(2, LAPTOP)).toBe(false);
  expect(isDuo(3, PHONE)).toBe(false);
});
