// Shaders are text: the build takes out their comments.
declare module '*.wgsl' {
  const code: string;
  export default code;
}
