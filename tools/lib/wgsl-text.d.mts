export declare const wgslText: {
  name: string;
  load(id: string): { code: string; moduleType: 'js' } | null;
};
