// Small helpers around the DOM.

/** The element with that id, which must be of that kind. */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
}

/** A new element with properties and children. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Partial<HTMLElementTagNameMap[Tag]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A new SVG element with attributes and children. */
export function makeSvg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string | number>,
  ...children: (Node | string)[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A table: the first row and the first column are headings. */
export function makeTable(
  caption: string,
  [head = [], ...rows]: readonly (readonly string[])[],
): HTMLTableElement {
  const cells = (row: readonly string[], scope: 'col' | 'row'): HTMLElement[] =>
    row.map((text, i) => {
      const isHeading = text !== '' && (scope === 'col' || i === 0);
      return isHeading ? make('th', { scope }, text) : make('td', {}, text);
    });
  return make(
    'table',
    {},
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...cells(head, 'col'))),
    make('tbody', {}, ...rows.map((row) => make('tr', {}, ...cells(row, 'row')))),
  );
}
