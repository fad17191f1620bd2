/** A list of devices to choose from: native radio buttons, so that keyboard and screen reader come for free. */
import { useId } from 'preact/hooks';
import { devices, type Kind } from '../call/devices';

interface Props {
  kind: Kind;
  chosen: string;
  onChoose: (kind: Kind, id: string) => void;
}

const LEGEND: Record<Kind, string> = { audioinput: 'Microphone', videoinput: 'Camera', audiooutput: 'Speaker' };

export function DeviceChoice({ kind, chosen, onChoose }: Props) {
  const name = useId();
  const choices = devices.value[kind];
  const isKnown = choices.some((choice) => choice.id === chosen);
  return (
    <fieldset class="choices" data-testid={`devices-${kind}`}>
      <legend>{LEGEND[kind]}</legend>
      {choices.length === 0 && <p class="faint">None found</p>}
      {choices.map((choice, index) => (
        <label key={choice.id} class="choice">
          <input
            type="radio"
            name={name}
            checked={isKnown ? choice.id === chosen : index === 0}
            onChange={() => onChoose(kind, choice.id)}
          />
          <span>{choice.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
