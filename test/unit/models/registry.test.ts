import { beforeAll, describe, expect, test } from 'vitest';
import { parseModels } from '../../../src/models/load.ts';
import { createRegistry, type Registry } from '../../../src/models/registry.ts';

const base = 'version: "1", upstream: "http://m:80", formats: [openai-chat]';
const other = (format: string) => base.replace('openai-chat', format);
const text = `models:
  - {name: demo, ${base}}
  - {name: eu, ${base}, match: {names: [chat], hosts: [eu.test]}}
  - {name: us, ${base}, match: {names: [chat], hosts: [us.test]}}
  - {name: beta, ${base}, match: {paths: [/beta/, /v2]}}
  - {name: tools, ${other('mcp')}, match: {paths: [/mcp], hosts: [a.test]}}
  - {name: more-tools, ${other('mcp')}, match: {paths: [/mcp], hosts: [b.test]}}
  - {name: files, ${other('opaque')}, match: {paths: [/v1/files]}}
  - {name: one, ${other('tgi')}, cluster: mesh}
  - {name: two, ${other('tgi')}, cluster: mesh}
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
    [
      'the one server of that host and path',
      { modelField: '', format: 'mcp', host: 'b.test', path: '/mcp' },
      'more-tools',
    ],
    ['that server, whatever is named', { modelField: 'demo', format: 'mcp', host: 'a.test', path: '/mcp/x' }, 'tools'],
    ['no server: the host is another', { modelField: '', format: 'mcp', path: '/mcp' }, 'unknown_model'],
    [
      'no server: the path is another',
      { modelField: 'tools', format: 'mcp', host: 'a.test', path: '/mcpx' },
      'unknown_model',
    ],
    ['what is opaque there', { modelField: '', format: 'opaque', path: '/v1/files/1' }, 'files'],
    ['nothing: it is opaque elsewhere', { modelField: 'files', format: 'opaque', path: '/v1/file' }, 'unknown_model'],
    ['neither of two', { modelField: '', format: 'tgi', path: '/generate' }, 'unknown_model'],
    ['the one of two that the route names', { modelField: '', format: 'tgi', path: '/generate', named: 'two' }, 'two'],
    ['the model that speaks the format', { modelField: 'demo', format: 'openai-chat' }, 'demo'],
  ])('%s', (_what, request, expected) => {
    expect(match(request)).toBe(expected);
  });
});

test.each([
  ['a path of its formats', { format: 'openai-chat' }, true],
  ['the path of a server', { format: 'mcp', path: '/mcp', host: 'a.test' }, true],
  ['that path on another host', { format: 'mcp', path: '/mcp' }, false],
  ['that path where the route names another', { format: 'mcp', path: '/mcp', host: 'a.test', named: 'demo' }, false],
  ['a format that nobody speaks', { format: 'gemini' }, false],
  ['any format', {}, true],
])('%s is admitted or not', (_what, place, expected) => {
  expect(registry.admits({ host: 'any.test', path, ...place })).toBe(expected);
});

test('models are listed in the order of the file, and found by name', () => {
  expect(registry.list().map((m) => m.name)).toEqual([
    'demo',
    'eu',
    'us',
    'beta',
    'tools',
    'more-tools',
    'files',
    'one',
    'two',
  ]);
  expect(registry.byName('eu')?.cluster).toBe('model_eu_1');
  expect(registry.byName('chat')).toBeUndefined();
});
