// Plane geometry with y downwards: hulls, rectangles at an angle, quadrilaterals.

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Corners from the upper left, clockwise as one reads. */
export type Quad = readonly [Point, Point, Point, Point];

/** A rectangle at any angle. */
export interface Rectangle {
  readonly centre: Point;
  /** Of length 1, in the direction of the width. */
  readonly axis: Point;
  readonly width: number;
  readonly height: number;
}

/** Twice the area of the triangle; positive where c lies clockwise of the way from a to b. */
function turn(a: Point, b: Point, c: Point): number {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

/** The corners of the convex hull, clockwise: Andrew's monotone chain. */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  if (sorted.length < 3) return sorted;
  const chain = (ordered: readonly Point[]): Point[] => {
    const hull: Point[] = [];
    for (const point of ordered) {
      while (hull.length > 1 && turn(hull.at(-2)!, hull.at(-1)!, point) <= 0) hull.pop();
      hull.push(point);
    }
    hull.pop(); // the other chain begins with it
    return hull;
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

/**
 * The rectangle of least area around the points. One of its sides lies on a side of the hull, so
 * each of these is tried. Its axis points to the right, 45 degrees up or down at most.
 */
export function smallestRectangle(points: readonly Point[]): Rectangle {
  const hull = convexHull(points);
  let best: Rectangle | undefined;
  hull.forEach((from, i) => {
    const to = hull[(i + 1) % hull.length]!;
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    if (length === 0) return;
    const along = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
    const candidate = rectangleAlong(hull, toTheRight(along));
    if (!best || candidate.width * candidate.height < best.width * best.height) best = candidate;
  });
  return best ?? { centre: hull[0] ?? { x: 0, y: 0 }, axis: { x: 1, y: 0 }, width: 0, height: 0 };
}

/** Of the four directions of a rectangle's sides the one that text most likely runs in. */
function toTheRight({ x, y }: Point): Point {
  const [long, short] = Math.abs(x) >= Math.abs(y) ? [x, y] : [y, -x];
  return long > 0 ? { x: long, y: short } : { x: -long, y: -short };
}

/** The smallest rectangle around the points with such an axis. */
function rectangleAlong(points: readonly Point[], axis: Point): Rectangle {
  const across = points.map(({ x, y }) => x * axis.x + y * axis.y);
  const down = points.map(({ x, y }) => y * axis.x - x * axis.y);
  const [left, right, top, bottom] = [
    Math.min(...across),
    Math.max(...across),
    Math.min(...down),
    Math.max(...down),
  ];
  const [u, v] = [(left + right) / 2, (top + bottom) / 2];
  const centre = { x: u * axis.x - v * axis.y, y: u * axis.y + v * axis.x };
  return { centre, axis, width: right - left, height: bottom - top };
}

/** With all sides moved outwards by a distance. */
export function grow(rectangle: Rectangle, distance: number): Rectangle {
  const { width, height } = rectangle;
  return { ...rectangle, width: width + 2 * distance, height: height + 2 * distance };
}

export function contains({ centre, axis, width, height }: Rectangle, { x, y }: Point): boolean {
  const [dx, dy] = [x - centre.x, y - centre.y];
  return (
    Math.abs(dx * axis.x + dy * axis.y) <= width / 2 &&
    Math.abs(dy * axis.x - dx * axis.y) <= height / 2
  );
}

export function corners({ centre, axis, width, height }: Rectangle): Quad {
  const at = (u: number, v: number): Point => ({
    x: centre.x + u * width * axis.x - v * height * axis.y,
    y: centre.y + u * width * axis.y + v * height * axis.x,
  });
  return [at(-0.5, -0.5), at(0.5, -0.5), at(0.5, 0.5), at(-0.5, 0.5)];
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/**
 * The perspective map that takes the unit square to the quadrilateral: (0, 0) to its first corner,
 * (1, 0) to the second (Heckbert, Fundamentals of Texture Mapping, 1989).
 */
export function squareToQuad([a, b, c, d]: Quad): (u: number, v: number) => Point {
  // How far the corners are from those of a parallelogram, for which the map is affine.
  const skew = { x: a.x - b.x + c.x - d.x, y: a.y - b.y + c.y - d.y };
  const [bc, dc] = [
    { x: b.x - c.x, y: b.y - c.y },
    { x: d.x - c.x, y: d.y - c.y },
  ];
  const area = bc.x * dc.y - dc.x * bc.y;
  const g = (skew.x * dc.y - dc.x * skew.y) / area;
  const h = (bc.x * skew.y - skew.x * bc.y) / area;
  return (u, v) => {
    const w = g * u + h * v + 1;
    return {
      x: (a.x + u * (b.x - a.x + g * b.x) + v * (d.x - a.x + h * d.x)) / w,
      y: (a.y + u * (b.y - a.y + g * b.y) + v * (d.y - a.y + h * d.y)) / w,
    };
  };
}
