#include "import/onnx/scanner.h"

namespace quern {
namespace {

enum Message : uint8_t { kModel, kGraph, kNode, kAttribute, kTensor, kFunction };

// Field numbers are those of onnx.proto. Sparse tensors are made dense at import, so their data
// stays in the skeleton: they are not entered.
constexpr ScanRule kSchema[] = {
    {kModel, 6, ScanAction::kSkip},                   // doc_string
    {kModel, 7, ScanAction::kEnter, kGraph},          // graph
    {kModel, 20, ScanAction::kSkip},                  // training_info
    {kModel, 25, ScanAction::kEnter, kFunction},      // functions
    {kGraph, 1, ScanAction::kEnter, kNode},           // node
    {kGraph, 5, ScanAction::kEnter, kTensor},         // initializer
    {kGraph, 10, ScanAction::kSkip},                  // doc_string
    {kGraph, 14, ScanAction::kSkip},                  // quantization_annotation
    {kGraph, 16, ScanAction::kSkip},                  // metadata_props
    {kNode, 5, ScanAction::kEnter, kAttribute},       // attribute
    {kNode, 6, ScanAction::kSkip},                    // doc_string
    {kNode, 9, ScanAction::kSkip},                    // metadata_props
    {kNode, 10, ScanAction::kSkip},                   // device_configurations
    {kAttribute, 5, ScanAction::kEnter, kTensor},     // t
    {kAttribute, 6, ScanAction::kEnter, kGraph},      // g
    {kAttribute, 10, ScanAction::kEnter, kTensor},    // tensors
    {kAttribute, 11, ScanAction::kEnter, kGraph},     // graphs
    {kAttribute, 13, ScanAction::kSkip},              // doc_string
    {kTensor, 4, ScanAction::kPayload},               // float_data
    {kTensor, 9, ScanAction::kPayload},               // raw_data
    {kTensor, 10, ScanAction::kPayload},              // double_data
    {kTensor, 12, ScanAction::kSkip},                 // doc_string
    {kTensor, 16, ScanAction::kSkip},                 // metadata_props
    {kFunction, 7, ScanAction::kEnter, kNode},        // node
    {kFunction, 8, ScanAction::kSkip},                // doc_string
    {kFunction, 11, ScanAction::kEnter, kAttribute},  // attribute_proto
    {kFunction, 14, ScanAction::kSkip},               // metadata_props
};

}  // namespace

OnnxScanner::OnnxScanner(const ScanOptions& options) : PushScanner(kSchema, options) {}

}  // namespace quern
