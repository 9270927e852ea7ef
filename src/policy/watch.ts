/**
 * Looks again and again whether policies have changed. By polling, not by notices of the file system: those do not come from
 * NFS, from overlays, from other machines, and differ between systems; a look costs one stat a file.
 */
export interface Watched {
  /** Whether something is different from what was read last; cheap. */
  readonly changed: () => Promise<boolean>;
  readonly reload: () => Promise<unknown>;
  readonly intervalMs: number;
  /** A look or a reload threw: a bug, or a disk that is gone. The next look comes all the same. */
  readonly failed: (error: unknown) => void;
}

export interface Watch {
  /** Stops looking; resolves once a look under way has ended. */
  stop(): Promise<void>;
}

export function watchPolicies({ changed, reload, intervalMs, failed }: Watched): Watch {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    try {
      if (await changed()) await reload();
    } catch (error) {
      failed(error);
    }
  };
  const again = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      looking = look().then(again);
    }, intervalMs).unref();
  };
  again();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
