/** After the call: why it ended, and the way back. */
import { useEffect, useRef } from 'preact/hooks';
import { Mark } from '../ui/icon';
import type { Ending } from '../words';

interface Props {
  ending: Ending;
  onAgain: () => void;
  onHome: () => void;
}

export function Ended({ ending, onAgain, onHome }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main class="ended" data-testid="ended">
      <Mark />
      <h1 tabIndex={-1} ref={heading}>
        {ending.title}
      </h1>
      <p class="lead">{ending.hint}</p>
      <div class="ended-doors">
        {ending.again && (
          <button type="button" class="button is-primary" data-testid="rejoin" onClick={onAgain}>
            Join again
          </button>
        )}
        <button type="button" class="button" data-testid="home" onClick={onHome}>
          To the start
        </button>
      </div>
    </main>
  );
}
