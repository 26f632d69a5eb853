// The published types of onnxruntime-web take quern/ort for it, and the other way round. Checked by
// the compiler (./dev lint); what is left at run time is that the names are there.

import * as original from 'onnxruntime-web';
import type * as common from 'onnxruntime-common';
import { expect, expectTypeOf, test } from 'vitest';
import * as ort from '../../runtime/src/ort/index.js';

test('the module is taken for onnxruntime-web', () => {
  const replaced: typeof original = ort;
  expectTypeOf(ort).toExtend<typeof original>();
  const missing = Object.keys(original).filter((name) => !(name in replaced));
  expect(missing).toEqual([]);
  expect(Object.keys(ort.default).sort()).toEqual(
    Object.keys(ort)
      .filter((name) => name !== 'default')
      .sort(),
  );
});

test('its types are taken for those of onnxruntime-web', () => {
  expectTypeOf<ort.Tensor>().toExtend<original.Tensor>();
  expectTypeOf<original.Tensor>().toExtend<ort.Tensor>();
  expectTypeOf<ort.TypedTensor<'int64'>>().toExtend<original.TypedTensor<'int64'>>();
  expectTypeOf<ort.Tensor.Type>().toEqualTypeOf<original.Tensor.Type>();
  expectTypeOf<ort.Tensor.DataTypeMap>().toEqualTypeOf<original.Tensor.DataTypeMap>();
  expectTypeOf<ort.Tensor.DataLocation>().toEqualTypeOf<original.Tensor.DataLocation>();
  expectTypeOf<ort.Tensor.GpuBufferType>().toEqualTypeOf<original.Tensor.GpuBufferType>();

  expectTypeOf<ort.InferenceSession>().toExtend<original.InferenceSession>();
  expectTypeOf<original.InferenceSession>().toExtend<ort.InferenceSession>();
  type Options = ort.InferenceSession.SessionOptions;
  expectTypeOf<original.InferenceSession.SessionOptions>().toExtend<Options>();
  expectTypeOf<Options>().toExtend<original.InferenceSession.SessionOptions>();
  type RunOptions = ort.InferenceSession.RunOptions;
  expectTypeOf<original.InferenceSession.RunOptions>().toExtend<RunOptions>();
  type Metadata = ort.InferenceSession.ValueMetadata;
  expectTypeOf<Metadata>().toEqualTypeOf<original.InferenceSession.ValueMetadata>();

  expectTypeOf<ort.Env>().toExtend<original.Env>();
  expectTypeOf<ort.Backend>().toExtend<original.Backend>();
  expectTypeOf<original.Backend>().toExtend<ort.Backend>();
  expectTypeOf<ort.InferenceSessionHandler>().toExtend<original.InferenceSessionHandler>();
  expectTypeOf<original.TensorFromImageDataOptions>().toExtend<ort.TensorFromImageDataOptions>();
  expectTypeOf<original.TensorFromUrlOptions>().toExtend<ort.TensorFromUrlOptions>();
  expectTypeOf<original.TensorToDataUrlOptions>().toExtend<ort.TensorToDataUrlOptions>();
});

/** Every type that onnxruntime-web exports is exported here under its name. */
export type Exported = [
  ...[ort.ConversionUtils, ort.CpuPinnedConstructorParameters, ort.Env.WebAssemblyFlags],
  ...[ort.ExternalDataFileDescription, ort.ExternalDataFileType, ort.FileBlob, ort.FileData],
  ...[ort.FileType, ort.FileUrlOrPath, ort.GpuBufferConstructorParameters, ort.ImageFormat],
  ...[ort.ImageTensorLayout, ort.InferenceSessionFactory, ort.MLTensorConstructorParameters],
  ...[ort.OnnxModelOptions, ort.OnnxValue, ort.OnnxValueDataLocation, ort.OptionsDimensions],
  ...[ort.OptionResizedDimensions, ort.OptionsFormat, ort.OptionsNormalizationParameters],
  ...[ort.OptionsTensorDataType, ort.OptionsTensorFormat, ort.OptionsTensorLayout],
  ...[ort.SessionHandler.FeedsType, ort.TensorConstructor, ort.TensorFactory],
  ...[ort.TensorFromGpuBufferOptions<'float32'>, ort.TensorFromImageBitmapOptions],
  ...[ort.TensorFromImageElementOptions, ort.TensorFromMLTensorOptions<'float32'>],
  ...[ort.TensorFromTextureOptions<'float32'>, ort.TensorToImageDataOptions],
  ...[ort.TextureConstructorParameters, ort.NonTensorType, ort.InferenceSession.FetchesType],
];
export type Original = common.OnnxModelOptions;
