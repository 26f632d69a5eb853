// Tells all who wait that something has changed.

export class Bell {
  #waiting: (() => void)[] = [];

  /** Resolves when it rings next. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  ring(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
