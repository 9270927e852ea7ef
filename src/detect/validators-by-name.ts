import { detectors } from './registry.ts';
import { luhn } from './validators.ts';

/** Check digits that detectors of users may ask for, by name; a built-in detector's name is its own check. */
export const validators: ReadonlyMap<string, (candidate: string) => boolean> = new Map([
  ['luhn', luhn],
  ...detectors.flatMap(({ id, validate }) => (validate === undefined ? [] : [[id, validate] as const])),
]);

export const validatorNames: readonly string[] = [...validators.keys()];
