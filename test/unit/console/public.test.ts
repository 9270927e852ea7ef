import { describe, expect, it } from 'vitest';
import { createPublicApp } from '../../../src/console/public.ts';

const app = createPublicApp({ version: '1.0.0', publicUrl: 'https://gate.example/?a=<script>' });

describe('the public listener', () => {
  it('says what it is as JSON', async () => {
    const response = await app.request('/');
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toMatchObject({ name: 'sallyport', version: '1.0.0' });
  });

  it('says what it is as a page, escaped, without scripts and not to be framed', async () => {
    const response = await app.request('/', { headers: { accept: 'text/html,*/*;q=0.8' } });
    const page = await response.text();
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toContain('<script>');
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(response.headers.get('x-frame-options')).toBe('DENY');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each(['/healthz', '/readyz', '/metrics', '/v1/sessions', '/v1/chat/completions', '/.env'])(
    'has no %s',
    async (path) => {
      expect((await app.request(path)).status).toBe(404);
    },
  );
});
