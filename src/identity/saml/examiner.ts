/** The thread that reads XML. */
export interface Examiner {
  /** Ends the thread; what waits is refused. */
  close(): Promise<void>;
}
