import { expect, expectTypeOf, test } from 'vitest';
import type { IdentityState } from '../../../src/identity/state.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import type { StateStore } from '../../../src/state/store.ts';

test('every state store is what identity asks for, though neither knows the other', async () => {
  // tsc holds this line: `npm run check`.
  expectTypeOf<StateStore>().toExtend<IdentityState>();
  const state: IdentityState = createMemoryState({ now: () => 1_000 });
  expect(await state.putIfAbsent('saml/x', '1', { expiresAtMs: 2_000 })).toBe(true);
  expect(await state.putIfAbsent('saml/x', '1', { expiresAtMs: undefined })).toBe(false);
  const document = await state.get('saml/x');
  expect(document).toMatchObject({ value: '1' });
  expect(await state.list('saml/', { limit: 10 })).toMatchObject([{ key: 'saml/x', value: '1' }]);
  expect(await state.remove('saml/x', document!.version)).toBe(true);
});
