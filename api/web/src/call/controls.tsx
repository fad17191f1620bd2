/** The bar of the call: one's own microphone, camera and screen, the panels, and the way out. */
import type { ComponentChildren } from 'preact';
import { prefs } from '../prefs';
import { DeviceChoice } from '../ui/device-choice';
import { Icon, type IconName } from '../ui/icon';
import { Popover } from '../ui/popover';
import type { Call } from './call';
import { CAN_CHOOSE_SPEAKER, type Kind } from './devices';
import type { PanelName } from './screen';

/** Phones have no way to share their screen from a page. */
const CAN_SHARE = typeof navigator !== 'undefined' && Boolean(navigator.mediaDevices?.getDisplayMedia);

interface Props {
  call: Call;
  panel: PanelName | undefined;
  onPanel: (panel: PanelName) => void;
  onCopy: () => void;
  onHelp: () => void;
}

export function Controls({ call, panel, onPanel, onCopy, onHelp }: Props) {
  return (
    <div class="controls" role="group" aria-label="Call controls">
      <div class="controls-main">
        {call.mayPublish.value ? <OwnMedia call={call} /> : <p class="controls-note">You are listening</p>}
        <button
          type="button"
          class="round-button is-leave"
          aria-label="Leave the call"
          title="Leave the call"
          data-testid="leave"
          onClick={() => void call.leave()}
        >
          <Icon name="leave" />
        </button>
      </div>
      <div class="controls-side">
        <PanelButton name="people" label="list of people" icon="people" panel={panel} onPanel={onPanel} badge={call.seats.value.length} class="only-wide" />
        <PanelButton name="chat" label="chat" icon="chat" panel={panel} onPanel={onPanel} badge={call.chat.unread.value} />
        <More call={call} onPanel={onPanel} onCopy={onCopy} onHelp={onHelp} />
      </div>
    </div>
  );
}

function OwnMedia({ call }: { call: Call }) {
  const mic = call.me.value?.mic === 'on';
  const camera = Boolean(call.me.value?.camera);
  const active = call.active.value;
  const choose = (kind: Kind, id: string) => void call.choose(kind, id);
  return (
    <>
      <div class="split">
        <Control on={mic} off="mic-off" icon="mic" what="microphone" hotkey="m" testid="toggle-mic" onClick={() => void call.toggleMic()} />
        <Popover label="Choose sound devices" icon="chevron" testid="audio-devices" class="split-more">
          <DeviceChoice kind="audioinput" chosen={active.audioinput} onChoose={choose} />
          {CAN_CHOOSE_SPEAKER && <DeviceChoice kind="audiooutput" chosen={active.audiooutput} onChoose={choose} />}
        </Popover>
      </div>
      <div class="split">
        <Control on={camera} off="camera-off" icon="camera" what="camera" hotkey="v" testid="toggle-camera" onClick={() => void call.toggleCamera()} />
        <Popover label="Choose a camera" icon="chevron" testid="video-devices" class="split-more">
          <DeviceChoice kind="videoinput" chosen={active.videoinput} onChoose={choose} />
        </Popover>
      </div>
      {CAN_SHARE && <ShareButton call={call} />}
    </>
  );
}

interface ControlProps {
  on: boolean;
  icon: IconName;
  off: IconName;
  what: string;
  hotkey: string;
  testid: string;
  onClick: () => void;
}

function Control({ on, icon, off, what, hotkey, testid, onClick }: ControlProps) {
  const label = `Turn ${on ? 'off' : 'on'} ${what}`;
  return (
    <button
      type="button"
      class={`round-button ${on ? '' : 'is-off'}`}
      aria-label={label}
      title={withKey(label, hotkey)}
      aria-keyshortcuts={hotkey}
      data-testid={testid}
      data-on={on}
      onClick={onClick}
    >
      <Icon name={on ? icon : off} />
    </button>
  );
}

function ShareButton({ call }: { call: Call }) {
  const on = call.sharing.value;
  const label = on ? 'Stop sharing your screen' : 'Share your screen';
  return (
    <button
      type="button"
      class={`round-button only-wide ${on ? 'is-live' : ''}`}
      aria-label={label}
      title={withKey(label, 's')}
      aria-keyshortcuts="s"
      data-testid="toggle-screen"
      data-on={on}
      onClick={() => void call.toggleScreen()}
    >
      <Icon name={on ? 'screen-off' : 'screen'} />
    </button>
  );
}

interface PanelButtonProps {
  name: PanelName;
  label: string;
  icon: IconName;
  panel: PanelName | undefined;
  badge: number;
  class?: string;
  onPanel: (panel: PanelName) => void;
}

function PanelButton({ name, label, icon, panel, badge, class: look = '', onPanel }: PanelButtonProps) {
  const open = panel === name;
  const action = `${open ? 'Close' : 'Open'} ${label}`;
  const count = badge > 99 ? '99+' : String(badge);
  const counted = badge > 0 ? `${action}, ${count} ${name === 'chat' ? 'unread' : 'in the call'}` : action;
  return (
    <button
      type="button"
      class={`round-button is-plain ${look} ${open ? 'is-open' : ''}`}
      aria-label={counted}
      title={withKey(action, name === 'chat' ? 'c' : 'p')}
      aria-expanded={open}
      data-testid={`toggle-${name}`}
      onClick={() => onPanel(name)}
    >
      <Icon name={icon} />
      {badge > 0 && <span class={`badge ${name === 'chat' ? 'is-new' : ''}`}>{count}</span>}
    </button>
  );
}

interface MoreProps {
  call: Call;
  onPanel: (panel: PanelName) => void;
  onCopy: () => void;
  onHelp: () => void;
}

function More({ call, onPanel, onCopy, onHelp }: MoreProps) {
  return (
    <Popover label="More" icon="more" testid="more" class="round-button is-plain">
      {(close) => {
        const then = (action: () => void) => () => {
          close();
          action();
        };
        return (
          <div class="menu">
            {CAN_SHARE && call.mayPublish.value && (
              <MenuItem icon="screen" onClick={then(() => void call.toggleScreen())} class="only-narrow">
                {call.sharing.value ? 'Stop sharing your screen' : 'Share your screen'}
              </MenuItem>
            )}
            <MenuItem icon="people" onClick={then(() => onPanel('people'))} class="only-narrow">
              People
            </MenuItem>
            <MenuItem icon="link" onClick={then(onCopy)}>
              Copy the link to this room
            </MenuItem>
            <MenuItem icon="keyboard" onClick={then(onHelp)} class="only-wide">
              Keyboard shortcuts
            </MenuItem>
          </div>
        );
      }}
    </Popover>
  );
}

interface MenuItemProps {
  icon: IconName;
  class?: string;
  onClick: () => void;
  children: ComponentChildren;
}

function MenuItem({ icon, class: look = '', onClick, children }: MenuItemProps) {
  return (
    <button type="button" class={`menu-item ${look}`} onClick={onClick}>
      <Icon name={icon} />
      {children}
    </button>
  );
}

function withKey(label: string, hotkey: string): string {
  return prefs().shortcuts ? `${label} (${hotkey})` : label;
}
