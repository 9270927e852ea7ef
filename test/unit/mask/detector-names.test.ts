import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detectors, selectDetectors } from '../../../src/detect/registry.ts';
import { openPlan, sealPlan } from '../../../src/envoy/plan.ts';
import { detectorNames } from '../../../src/mask/detector-names.ts';

const names = detectorNames(detectors);
const ids = (...selected: readonly string[]) =>
  selectDetectors(selected)
    .map(({ id }) => id)
    .sort();

describe('names of many detectors', () => {
  it('are categories where all of one are meant, and ids else', () => {
    expect(names.shown(ids('all'))).toEqual(['all']);
    expect(names.shown(ids('pii', 'secrets'))).toEqual(['secrets', 'pii']);
    expect(names.shown(ids('network', 'jwt'))).toEqual(['network', 'jwt']);
    expect(names.shown(['jwt', 'person'])).toEqual(['jwt', 'person']);
    expect(names.shown([])).toEqual([]);
  });

  it('come back as the ids that they were made of', () => {
    fc.assert(
      fc.property(
        fc.subarray(['pii', 'secrets', 'finance', 'network', 'jwt', 'us_ssn', 'region:de'], { minLength: 1 }),
        (some) => {
          const all = ids(...some);
          expect(names.expand(names.compact(all))).toEqual(all);
          expect(names.expand(names.compact([...all]))).toBe(names.expand(names.compact(all)));
        },
      ),
    );
  });

  it('mean nothing to a build that has other detectors', () => {
    const older = detectorNames(detectors.filter(({ id }) => id !== 'us_ssn'));
    expect(older.expand(names.compact(ids('pii')))).toBeUndefined();
    expect(older.expand(names.compact(ids('secrets')))).toEqual(ids('secrets'));
    expect(names.expand(['pii'])).toBeUndefined();
    expect(names.expand(['pii', '#AAAAAAAAAAAA'])).toBeUndefined();
    expect(names.expand(['no_such_detector'])).toEqual(['no_such_detector']);
  });
});

describe('a plan that masks everything', () => {
  const key = createSecretKey(Buffer.alloc(32, 1));
  const all = ids('all');
  const plan = {
    session: 's',
    format: 'openai-chat',
    stream: true,
    mask: all,
    maskRequest: [],
    cluster: 'c',
    requestId: 'r',
    issuedAtMs: 1,
    revision: 'x',
    request: { writer: 'w', leaf: 1 },
    reservations: [],
    tokens: 0,
    opaque: false,
    watched: false,
    operators: {
      request: {},
      response: Object.fromEntries(ids('secrets').map((id) => [id, { type: 'redact' } as const])),
    },
  };
  const stream = { nowMs: 1, requestId: 'r', cluster: 'c' };

  it('is short, as Envoy sends it along with each chunk', () => {
    const sealed = sealPlan(plan, { keys: [key], names });
    expect(sealed.length).toBeLessThan(700);
    expect(openPlan(sealed, { keys: [key], names }, stream)).toEqual({ ok: true, plan });
  });

  it('is refused by a build that means other detectors by its names', () => {
    const other = detectorNames(detectors.slice(1));
    expect(openPlan(sealPlan(plan, { keys: [key], names }), { keys: [key], names: other }, stream)).toEqual({
      ok: false,
      why: 'other_detectors',
    });
  });

  it('may name each detector, as a replica of the version before does', () => {
    const sealed = sealPlan(plan, { keys: [key] });
    expect(openPlan(sealed, { keys: [key], names }, stream)).toEqual({ ok: true, plan });
  });
});
