/** One question at a time whether it is still the same person, however many requests wait for the answer. */
export class StepUpGate {
  private waiting: ((proved: boolean) => void)[] = [];
  private readonly listeners = new Set<() => void>();

  /** Resolves to true when the person has proved it, to false when they would not, or nobody is there to ask. */
  ask(): Promise<boolean> {
    if (this.listeners.size === 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.tell();
    });
  }

  settle(proved: boolean): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve(proved);
    this.tell();
  }

  readonly isAsking = (): boolean => this.waiting.length > 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      // Whoever could have answered is gone.
      if (this.listeners.size === 0 && this.waiting.length > 0) this.settle(false);
    };
  };

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

export const stepUpGate = new StepUpGate();
