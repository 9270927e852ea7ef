import { beforeAll, describe, expect, test } from 'vitest';
import { parseModels } from '../../../src/models/load.ts';
import { createRegistry, type Registry } from '../../../src/models/registry.ts';

const base = 'version: "1", upstream: "http://m:80", formats: [openai-chat]';
const text = `models:
  - {name: demo, ${base}}
  - {name: eu, ${base}, match: {names: [chat], hosts: [eu.test]}}
  - {name: us, ${base}, match: {names: [chat], hosts: [us.test]}}
  - {name: beta, ${base}, match: {paths: [/beta/, /v2]}}
`;
let registry: Registry;

beforeAll(async () => {
  const loaded = await parseModels(text, () => Promise.reject(new Error('no secret was expected')));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  registry = createRegistry(loaded.models);
});

const path = '/v1/chat/completions';
const match = (request: { host?: string; path?: string; modelField: string; named?: string; format?: string }) => {
  const found = registry.match({ host: 'any.test', path, ...request });
  return found.ok ? found.model.name : found.code;
};

describe('a request means', () => {
  test.each([
    ['the model of that name', { modelField: 'demo' }, 'demo'],
    ['the model of that further name on that host', { modelField: 'chat', host: 'us.test' }, 'us'],
    ['the model of that path', { modelField: 'beta', path: '/beta/v1/chat/completions' }, 'beta'],
    ['the model of exactly that path', { modelField: 'beta', path: '/v2' }, 'beta'],
    ['the model that the route names', { modelField: 'demo', named: 'demo' }, 'demo'],
    ['no model: the name is unknown', { modelField: 'Demo' }, 'unknown_model'],
    ['no model: the name is empty', { modelField: '' }, 'unknown_model'],
    ['no model: the name is a property of objects', { modelField: '__proto__' }, 'unknown_model'],
    ['no model: the host is another', { modelField: 'chat', host: 'any.test' }, 'unknown_model'],
    ['no model: the route names another', { modelField: 'demo', named: 'eu' }, 'unknown_model'],
    ['no model: the route names none that exists', { modelField: 'demo', named: 'x' }, 'unknown_model'],
    ['no model: the path only begins alike', { modelField: 'beta', path: '/v2x' }, 'path_not_admitted'],
    ['no model: the path is another', { modelField: 'beta' }, 'path_not_admitted'],
    ['no model: it does not speak the format', { modelField: 'demo', format: 'ollama' }, 'path_not_admitted'],
    ['the model that speaks the format', { modelField: 'demo', format: 'openai-chat' }, 'demo'],
  ])('%s', (_what, request, expected) => {
    expect(match(request)).toBe(expected);
  });
});

test('models are listed in the order of the file, and found by name', () => {
  expect(registry.list().map((m) => m.name)).toEqual(['demo', 'eu', 'us', 'beta']);
  expect(registry.byName('eu')?.cluster).toBe('model_eu_1');
  expect(registry.byName('chat')).toBeUndefined();
});
