/** As much of a browser as a sign-in needs: cookies by path, redirects, forms. Everything over real HTTP. */

interface Cookie {
  readonly value: string;
  readonly path: string;
}

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export class Browser {
  readonly #cookies = new Map<string, Cookie>();

  /** Opens a page and follows where it leads, over at most ten redirects. */
  async open(url: string, form?: URLSearchParams): Promise<Page> {
    let target = url;
    let body = form;
    for (let hops = 0; hops < 10; hops++) {
      const response = await fetch(target, {
        method: body === undefined ? 'GET' : 'POST',
        redirect: 'manual',
        headers: { cookie: this.#cookiesFor(new URL(target)), accept: 'text/html' },
        ...(body && { body }),
      });
      this.#keep(new URL(target), response.headers.getSetCookie());
      const to = response.headers.get('location');
      if (to === null)
        return { url: target, status: response.status, headers: response.headers, text: await response.text() };
      await response.arrayBuffer();
      target = new URL(to, target).href;
      body = undefined;
    }
    throw new Error(`more than ten redirects from ${url}`);
  }

  /** Sends the page's one form, with its hidden fields and `fields` over them. */
  async submit(page: Page, fields: Readonly<Record<string, string>>): Promise<Page> {
    const [form] = /<form[\s\S]*?<\/form>/.exec(page.text) ?? [];
    if (form === undefined) throw new Error(`no form on ${page.url}: ${page.text}`);
    const action = /<form[^>]*\baction="([^"]*)"/.exec(form)?.[1] ?? page.url;
    const values = new URLSearchParams();
    for (const [input] of form.matchAll(/<input[\s\S]*?>/g)) {
      const name = /\bname="([^"]*)"/.exec(input)?.[1];
      if (name !== undefined) values.set(name, /\bvalue="([^"]*)"/.exec(input)?.[1] ?? '');
    }
    for (const [name, value] of Object.entries(fields)) values.set(name, value);
    return this.open(new URL(action, page.url).href, values);
  }

  #cookiesFor(url: URL): string {
    return [...this.#cookies]
      .filter(([key, { path }]) => key.startsWith(`${url.host} `) && url.pathname.startsWith(path))
      .map(([key, { value }]) => `${key.split(' ')[1]}=${value}`)
      .join('; ');
  }

  #keep(url: URL, set: readonly string[]): void {
    for (const line of set) {
      const [pair = '', ...attributes] = line.split(/; ?/);
      const at = pair.indexOf('=');
      const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? '/';
      const key = `${url.host} ${pair.slice(0, at)} ${path}`;
      if (pair.slice(at + 1) === '') this.#cookies.delete(key);
      else this.#cookies.set(key, { value: pair.slice(at + 1), path });
    }
  }
}

/** Signs in at the demo's provider. @returns the page that it ends on */
export async function signInAs(url: string, person: 'jane' | 'sam' | ''): Promise<Page> {
  const browser = new Browser();
  return browser.submit(await browser.open(url), { person });
}

/** Enters a device code at the demo's provider, and signs in. */
export async function enterCode(verificationUrl: string, code: string, person: 'jane' | 'sam'): Promise<Page> {
  const browser = new Browser();
  const confirm = await browser.submit(await browser.open(verificationUrl), { user_code: code });
  return browser.submit(await browser.submit(confirm, {}), { person });
}
