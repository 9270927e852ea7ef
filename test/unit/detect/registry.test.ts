import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectors, selectDetectors, UnknownDetectorError } from '../../../src/detect/registry.ts';

const ids = (names: readonly string[]) => selectDetectors(names).map(({ id }) => id);

describe('selecting detectors', () => {
  it('takes ids, categories and all, each detector once, in the order of the registry', () => {
    expect(ids(['email_address'])).toEqual(['email_address']);
    expect(ids(['finance'])).toEqual(expect.arrayContaining(['credit_card', 'iban_code', 'crypto', 'us_bank_number']));
    expect(ids(['pii', 'email_address', 'finance'])).toEqual(ids(['finance', 'pii']));
    expect(ids(['pii'])).toEqual(
      expect.arrayContaining(['email_address', 'phone_number', 'credit_card', 'iban_code', 'us_ssn']),
    );
    expect(ids(['secrets'])).toEqual(expect.arrayContaining(['jwt', 'private_key', 'github_pat', 'aws_access_token']));
    expect(selectDetectors(['all'])).toEqual(detectors);
    expect(ids([])).toEqual([]);
  });

  it('has a detector in each category', () => {
    expect(ids(['health'])).toEqual(expect.arrayContaining(['us_mbi', 'us_npi', 'medical_license']));
    expect(ids(['network'])).not.toEqual([]);
  });

  it.each([
    ['email', 'email_address'],
    ['emial_address', 'email_address'],
    ['credit-card', 'credit_card'],
    ['CREDIT_CARD', 'credit_card'],
    ['secret', 'secrets'],
    ['al', 'all'],
    ['ssn', 'us_ssn'],
    ['zzzzzzzzzz', undefined],
    ['', undefined],
    ['__proto__', undefined],
  ])('refuses "%s" and suggests %s', (name, suggestion) => {
    expect(() => selectDetectors(['pii', name])).toThrow(UnknownDetectorError);
    try {
      selectDetectors([name]);
    } catch (error) {
      expect(error).toMatchObject({ code: 'unknown_detector', detector: name, suggestion });
    }
  });

  it('knows each id once, and each compiles alone', () => {
    expect(new Set(detectors.map(({ id }) => id)).size).toBe(detectors.length);
    for (const detector of detectors) expect(compileAutomaton([detector]).maxLength).toBeGreaterThan(4);
  });
});
