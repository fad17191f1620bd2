/** The icons, drawn on a 24-unit grid with one stroke. They carry no meaning of their own: the control beside them is labelled. */

const PATHS = {
  mic: ['M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3z', 'M5.5 11.5a6.5 6.5 0 0 0 13 0', 'M12 18v3'],
  'mic-off': [
    'M9 9.5V12a3 3 0 0 0 4.6 2.5',
    'M15 11.5V6a3 3 0 0 0-5.8-1',
    'M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3',
    'M18.5 11.5a6.5 6.5 0 0 1-.6 2.7',
    'M12 18v3',
    'M4 4l16 16',
  ],
  camera: ['M5 6h8.5a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2z', 'M15.5 10.6l4-2.5a1 1 0 0 1 1.5.9v6a1 1 0 0 1-1.5.9l-4-2.5'],
  'camera-off': [
    'M10 6h3.5a2 2 0 0 1 2 2v2.6l4-2.5a1 1 0 0 1 1.5.9v6a1 1 0 0 1-.7.95',
    'M15.5 15.5v.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2h1',
    'M4 4l16 16',
  ],
  screen: ['M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z', 'M8 20h8', 'M12 13.5v-6', 'M9.2 10L12 7.2l2.8 2.8'],
  'screen-off': ['M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z', 'M8 20h8', 'M9.8 8.3l4.4 4.4', 'M14.2 8.3l-4.4 4.4'],
  chat: ['M5.5 4.5h13a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H12l-4.6 3.6a.5.5 0 0 1-.8-.4v-3.2H5.5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z', 'M8 9h8', 'M8 12.5h5'],
  people: [
    'M9 11a3.25 3.25 0 1 0 0-6.5A3.25 3.25 0 0 0 9 11z',
    'M2.5 19.5c0-3.2 2.9-5.2 6.5-5.2s6.5 2 6.5 5.2',
    'M16 4.9a3.25 3.25 0 0 1 0 5.8',
    'M18 14.7c2.1.7 3.5 2.4 3.5 4.8',
  ],
  more: ['M5.5 12h.01', 'M12 12h.01', 'M18.5 12h.01'],
  leave: ['M3.2 14.7c-.7-.8-.8-2.2.1-3.2C5.5 9.2 8.6 8 12 8s6.5 1.2 8.7 3.5c.9 1 .8 2.4.1 3.2l-.5.5a1.2 1.2 0 0 1-1.5.2l-2.4-1.4a1.2 1.2 0 0 1-.6-1v-1.7a12 12 0 0 0-7.6 0V13c0 .4-.2.8-.6 1l-2.4 1.4a1.2 1.2 0 0 1-1.5-.2z'],
  link: ['M10 13.5a4 4 0 0 0 5.7.3l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2', 'M14 10.5a4 4 0 0 0-5.7-.3l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  close: ['M6 6l12 12', 'M18 6L6 18'],
  chevron: ['M7 14.5l5-5 5 5'],
  speaker: ['M4 9.5v5h3.5l4.5 4v-13l-4.5 4z', 'M15.5 9a4.2 4.2 0 0 1 0 6', 'M18 6.5a7.8 7.8 0 0 1 0 11'],
  pin: ['M9 4h6', 'M10 4v5.5L7 13v1.5h10V13l-3-3.5V4', 'M12 14.5V20'],
  expand: ['M4 9V5a1 1 0 0 1 1-1h4', 'M15 4h4a1 1 0 0 1 1 1v4', 'M20 15v4a1 1 0 0 1-1 1h-4', 'M9 20H5a1 1 0 0 1-1-1v-4'],
  send: ['M5 12l-1.5-7.2a.6.6 0 0 1 .85-.66l16 7.3a.6.6 0 0 1 0 1.1l-16 7.3a.6.6 0 0 1-.85-.66z', 'M5 12h7'],
  keyboard: ['M4.5 6h15a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2z', 'M6.5 10h.01', 'M10.2 10h.01', 'M13.8 10h.01', 'M17.5 10h.01', 'M8 14h8'],
  arrow: ['M5 12h14', 'M13 6l6 6-6 6'],
  plus: ['M12 5v14', 'M5 12h14'],
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {PATHS[name].map((path) => (
        <path key={path} d={path} />
      ))}
    </svg>
  );
}

/** The mark of the house: seats in a round, one of them speaking. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      {Array.from({ length: 8 }, (_, index) => {
        const angle = (index / 8) * 2 * Math.PI - Math.PI / 2;
        return <circle key={index} cx={16 + 11 * Math.cos(angle)} cy={16 + 11 * Math.sin(angle)} r={index === 1 ? 4 : 2.6} class={index === 1 ? 'is-speaking' : ''} />;
      })}
    </svg>
  );
}
