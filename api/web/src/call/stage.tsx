/**
 * The tiles: an even grid, or one of them large with the others beside it.
 *
 * Large is what the person pinned, else the newest shared screen. A shared screen never sits in the
 * grid: nobody can read it there.
 */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Call } from './call';
import { arrange, type Grid, inSight, isDuo, type Size } from './layout';
import { order } from './order';
import type { Seat } from './seats';
import { Tile, type View } from './tile';

interface Shown {
  key: string;
  seat: Seat;
  view: View;
}

const GAP = 8;

export function Stage({ call }: { call: Call }) {
  const stage = useRef<HTMLDivElement>(null);
  const area = useSize(stage);
  const pinned = useSignal('');
  const places = useRef<readonly string[]>([]);

  const seats = call.seats.value;
  const guess = arrange(seats.length, area, GAP);
  const seated = order(places.current, seats, inSight(guess, area, GAP));
  places.current = seated.map((seat) => seat.identity);

  const shown: Shown[] = [
    ...seated.filter((seat) => seat.screen).map((seat) => ({ key: `${seat.identity}/screen`, seat, view: 'screen' as const })),
    ...seated.map((seat) => ({ key: `${seat.identity}/camera`, seat, view: 'camera' as const })),
  ];
  const large = shown.find((one) => one.key === pinned.value) ?? shown.find((one) => one.view === 'screen');
  const others = shown.filter((one) => one !== large);
  const duo = !large && isDuo(seats.length, area);
  const grid = large || duo ? undefined : guess;

  const tile = (one: Shown) => (
    <MemoTile
      key={one.key}
      shown={one}
      pinned={pinned.value === one.key}
      onPin={() => (pinned.value = pinned.value === one.key ? '' : one.key)}
    />
  );
  const mode = large ? 'focus' : duo ? 'duo' : 'grid';
  return (
    <div class={`stage is-${mode}`} ref={stage} data-testid="stage" data-mode={mode}>
      {large && (
        <ul class="stage-large" aria-label="Large picture">
          {tile(large)}
        </ul>
      )}
      <ul class="stage-tiles" aria-label="People in the call" ref={(element) => setGrid(element, grid)} data-scrolls={grid?.scrolls}>
        {others.map(tile)}
      </ul>
    </div>
  );
}

/** Draws a tile again only when its seat or its place changed. */
function MemoTile({ shown, pinned, onPin }: { shown: Shown; pinned: boolean; onPin: () => void }) {
  const latest = useRef(onPin);
  latest.current = onPin;
  return useMemo(
    () => <Tile seat={shown.seat} view={shown.view} pinned={pinned} onPin={() => latest.current()} />,
    [shown.seat, shown.view, pinned],
  );
}

/** Set from script because the content security policy allows no style attribute in the page. */
function setGrid(element: HTMLElement | null, grid: Grid | undefined): void {
  element?.style.setProperty('--tile-width', grid ? `${grid.tile.width}px` : '');
  element?.style.setProperty('--tile-height', grid ? `${grid.tile.height}px` : '');
  element?.style.setProperty('--columns', grid ? String(grid.columns) : '');
}

function useSize(target: { current: HTMLElement | null }): Size {
  const size = useSignal<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = target.current;
    if (!element) return;
    const measure = () => (size.value = { width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [target, size]);
  return size.value;
}
