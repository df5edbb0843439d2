// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
namespace json = llvm::json;

namespace buddy {
#define GEN_PASS_DEF_EMITMANIFESTPASS
#include "buddy/Passes.h.inc"
namespace {

std::string printed(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

json::Object describeArgument(func::FuncOp function, unsigned index) {
  auto text = [&](StringRef attribute) -> std::string {
    auto value = function.getArgAttrOfType<StringAttr>(index, attribute);
    return value ? value.str() : "";
  };
  json::Object argument{{"kind", text("buddy.kind")}, {"name", text("buddy.name")}};
  if (function.getArgAttr(index, "buddy.mutable"))
    argument["mutable"] = true;
  // What only `prepare` reads need not be in memory when the entry runs.
  if (text("buddy.kind") == "parameter" && function.getArgument(index).use_empty())
    argument["used"] = false;
  auto type = dyn_cast<MemRefType>(function.getArgument(index).getType());
  argument["dtype"] = type ? printed(type.getElementType()) : "i64";
  json::Array shape;
  if (type)
    for (int64_t extent : type.getShape())
      shape.push_back(ShapedType::isDynamic(extent) ? -1 : extent);
  argument["shape"] = std::move(shape);
  return argument;
}

json::Object describeEntry(func::FuncOp function) {
  json::Array arguments;
  int64_t ofGraph = 0;
  for (unsigned index = 0; index < function.getNumArguments(); ++index) {
    json::Object argument = describeArgument(function, index);
    StringRef kind = *argument.getString("kind");
    ofGraph += kind == "input" || kind == "parameter" || kind == "symbol";
    arguments.push_back(std::move(argument));
  }
  return json::Object{{"arguments", std::move(arguments)}, {"graph_arguments", ofGraph}};
}

/// What a pass says about the module in attributes, as it is.
json::Value toJson(Attribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute))
    return text.str();
  if (auto list = dyn_cast<ArrayAttr>(attribute))
    return json::Array(llvm::map_range(list, toJson));
  json::Object object;
  for (NamedAttribute field : cast<DictionaryAttr>(attribute))
    object[field.getName().str()] = toJson(field.getValue());
  return object;
}

struct EmitManifestPass : impl::EmitManifestPassBase<EmitManifestPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Builder b(&getContext());
    json::Object entries;
    int64_t kernels = 0;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function->hasAttr("buddy.kernel")) {
        ++kernels;
        // Inlined into the list of calls, a kernel would be compiled once a layer again.
        function->setAttr("passthrough", b.getArrayAttr(b.getStringAttr("noinline")));
      }
      if (function.isExternal())
        continue;
      if (!function.isPublic()) {
        // Two models in one process must not take each other's kernels.
        function->setAttr("llvm.linkage",
                          LLVM::LinkageAttr::get(&getContext(), LLVM::Linkage::Internal));
        continue;
      }
      if (function->hasAttr("buddy.entry"))
        continue;
      function->setAttr("buddy.entry", b.getStringAttr("buddy_invoke_" + function.getName()));
      entries[function.getName()] = describeEntry(function);
      // LLVM has no words for them; the manifest has them now.
      for (unsigned index = 0; index < function.getNumArguments(); ++index)
        function.setArgAttrs(index, b.getDictionaryAttr({}));
    }
    json::Array features;
    for (StringRef feature : llvm::split(StringRef(targetFeatures), ','))
      if (!feature.empty())
        features.push_back(feature.str());
    json::Object manifest{{"abi", 1},
                          {"target", "cpu"},
                          {"features", std::move(features)},
                          {"kernels", kernels},
                          {"entries", std::move(entries)}};
    if (Attribute profile = module->removeAttr("buddy.profile"))
      manifest["profile"] = toJson(profile);
    emitGlobal(module, llvm::formatv("{0}", json::Value(std::move(manifest))).str());
  }

  static void emitGlobal(ModuleOp module, std::string text) {
    text.push_back('\0');
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), text.size());
    LLVM::GlobalOp::create(builder, module.getLoc(), type, /*isConstant=*/true,
                           LLVM::Linkage::External, "buddy_manifest", builder.getStringAttr(text));
  }
};
} // namespace
} // namespace buddy
