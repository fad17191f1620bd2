/**
 * A small panel that opens from a button: focus goes in, Escape and a click elsewhere close it, and
 * focus returns. On a narrow screen the style sheet makes it a sheet at the bottom.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icon';

interface Props {
  label: string;
  icon: IconName;
  testid: string;
  /** The look of the button. */
  class: string;
  /** A function is given a way to close the panel. */
  children: ComponentChildren | ((close: () => void) => ComponentChildren);
}

export function Popover({ label, icon, testid, class: look, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const id = useId();
  const close = () => setOpen(false);

  useEffect(() => {
    if (!open) return;
    const first = panel.current?.querySelector<HTMLElement>('input:checked, button, input, select');
    first?.focus();
    const elsewhere = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) close();
    };
    document.addEventListener('pointerdown', elsewhere);
    document.addEventListener('focusin', elsewhere);
    return () => {
      document.removeEventListener('pointerdown', elsewhere);
      document.removeEventListener('focusin', elsewhere);
    };
  }, [open]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !open) return;
    event.stopPropagation();
    close();
    button.current?.focus();
  };

  return (
    <div class="popover" ref={root} onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        class={look}
        aria-label={label}
        title={label}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        data-testid={testid}
        onClick={() => setOpen(!open)}
      >
        <Icon name={icon} />
      </button>
      {open && (
        <div class="popover-panel" id={id} role="dialog" aria-label={label} ref={panel}>
          {typeof children === 'function' ? children(close) : children}
        </div>
      )}
    </div>
  );
}
