export const sentences = [
  'The harbour is closed while the storm lasts.',
  'A night train leaves for the coast at ten.',
  'Tickets for the night train are sold on board.',
  'Bread needs flour, water, salt and time.',
  'The bakery on the corner opens at six.',
  'Salt the water before the pasta goes in.',
  'The museum shows maps of the old harbour.',
  'Rain is expected in the mountains tomorrow.',
  'The bridge over the river is being repaired.',
  'Bicycles may be taken on the train after nine.',
];
