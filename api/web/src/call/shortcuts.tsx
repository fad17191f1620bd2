/** Single keys for the hands of people who talk all day, and the dialog that lists them. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { prefs, remember } from '../prefs';
import { Icon } from '../ui/icon';

export type Actions = Record<string, () => void>;

const KEYS: readonly (readonly [string, string])[] = [
  ['m', 'Microphone on or off'],
  ['v', 'Camera on or off'],
  ['s', 'Share your screen, or stop'],
  ['c', 'Chat'],
  ['p', 'People'],
  ['l', 'Copy the link to this room'],
  ['?', 'This list'],
  ['Esc', 'Close what is open'],
];

export function useShortcuts(actions: Actions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.key !== 'Escape' && (isTyping(event.target) || !prefs().shortcuts)) return;
      if (document.querySelector('dialog[open]')) return; // Its keys are its own.
      const action = latest.current[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [enabled, setEnabled] = useState(prefs().shortcuts);
  useEffect(() => dialog.current?.showModal(), []);
  const closeOnBackdrop = (event: MouseEvent) => {
    if (event.target === dialog.current) dialog.current?.close();
  };
  return (
    <dialog class="dialog" ref={dialog} aria-labelledby="shortcuts-title" onClose={onClose} onClick={closeOnBackdrop}>
      <header class="panel-head">
        <h2 id="shortcuts-title">Keyboard shortcuts</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </header>
      <dl class={`keys ${enabled ? '' : 'is-disabled'}`}>
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <label class="choice">
        <input
          type="checkbox"
          checked={enabled}
          onChange={(event) => {
            setEnabled(event.currentTarget.checked);
            remember({ shortcuts: event.currentTarget.checked });
          }}
        />
        <span>Use single-key shortcuts</span>
      </label>
    </dialog>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}
