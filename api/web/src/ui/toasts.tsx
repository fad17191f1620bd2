/** The notices on screen. The regions stay in the page: a live region must exist before it speaks. */
import { Icon } from './icon';
import { dismiss, type Notice, notices } from './notices';

export function Toasts() {
  const polite = notices.value.filter((notice) => notice.tone === 'info');
  const urgent = notices.value.filter((notice) => notice.tone === 'error');
  return (
    <div class="toasts">
      <div role="status" aria-live="polite">
        {polite.map((notice) => (
          <Toast key={notice.id} notice={notice} />
        ))}
      </div>
      <div role="alert">
        {urgent.map((notice) => (
          <Toast key={notice.id} notice={notice} />
        ))}
      </div>
    </div>
  );
}

function Toast({ notice }: { notice: Notice }) {
  if (notice.quiet) return <p class="sr-only">{notice.text}</p>;
  return (
    <div class={`toast is-${notice.tone}`} data-testid="toast">
      <p>{notice.text}</p>
      {notice.tone === 'error' && (
        <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
