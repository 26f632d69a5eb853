#include <cstring>

#include "plan/plan.h"

namespace quern {
namespace {

constexpr uint32_t kMagic = 0x4e505251;  // "QRPN"
constexpr uint32_t kVersion = 3;

class Writer {
 public:
  void word(uint64_t value) {
    const auto v = static_cast<uint32_t>(value);
    const size_t at = bytes_.size();
    bytes_.resize(at + 4);
    std::memcpy(bytes_.data() + at, &v, 4);
  }
  void wide(uint64_t value) {
    word(value & UINT32_MAX);
    word(value >> 32);
  }
  void blob(const void* data, size_t size) {
    word(size);
    const size_t at = bytes_.size();
    bytes_.resize(at + (size + 3) / 4 * 4);
    if (size != 0) std::memcpy(bytes_.data() + at, data, size);
  }
  void text(std::string_view s) { blob(s.data(), s.size()); }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

void write(Writer& w, const Slice& s) {
  w.word(static_cast<uint32_t>(s.buffer));
  w.word(s.index);
  w.wide(s.offset);
  w.wide(s.bytes);
}

void write(Writer& w, const std::vector<Step>& steps) {
  w.word(steps.size());
  for (const Step& step : steps) {
    w.word(static_cast<uint32_t>(step.kind));
    w.word(step.node);
    w.word(step.program);
    for (uint32_t n : step.workgroups) w.word(n);
    w.word(step.params_offset);
    w.word(step.params_bytes);
    w.word(step.slices.size());
    for (const Slice& s : step.slices) write(w, s);
  }
}

void write(Writer& w, const Port& port) {
  w.word(port.index);
  w.word(static_cast<uint32_t>(port.dtype));
  w.word(port.dims.size());
  for (int64_t d : port.dims) w.wide(static_cast<uint64_t>(d));
  w.word(port.on_host ? 1 : 0);
  if (port.on_host) {
    w.blob(port.host.bytes.data(), port.host.bytes.size());
    w.word(port.host.strings.size());
    for (const std::string& s : port.host.strings) w.text(s);
  } else {
    write(w, port.slice);
  }
}

void write(Writer& w, const std::vector<Port>& ports) {
  w.word(ports.size());
  for (const Port& port : ports) write(w, port);
}

void write(Writer& w, const PortValue& value) {
  w.word(static_cast<uint32_t>(value.kind));
  if (value.kind == Type::Kind::kTensor) return write(w, value.port);
  w.word(static_cast<uint32_t>(value.dtype));
  w.word(value.elements.size());
  for (const PortValue& element : value.elements) write(w, element);
}

void append(std::string& out, const Slice& s) {
  constexpr std::string_view names[] = {"arena", "weight", "constants", "persistent", "once"};
  out += cat(names[static_cast<size_t>(s.buffer)], s.index, "+", s.offset, ":", s.bytes);
}

}  // namespace

std::vector<uint8_t> serialize(const PlanMessage& message) {
  Writer w;
  w.word(kMagic);
  w.word(kVersion);
  w.word(message.programs.size());
  for (const ProgramEntry& p : message.programs) {
    w.word(p.number);
    w.text(p.label);
    w.text(p.text.wgsl);
    w.word(p.text.bindings.size());
    for (Access a : p.text.bindings) w.word(static_cast<uint32_t>(a));
    w.word(p.text.overrides.size());
    for (const auto& [name, value] : p.text.overrides) {
      w.text(name);
      w.wide(__builtin_bit_cast(uint64_t, value));
    }
  }
  w.word(message.buffers.size());
  for (const BufferRequest& b : message.buffers) {
    w.word(static_cast<uint32_t>(b.kind));
    w.word(b.index);
    w.wide(b.bytes);
    w.word(b.plan_owned ? 1 : 0);
    w.blob(b.contents.data(), b.contents.size());
  }
  const Segment& s = message.segment;
  w.wide(s.arena_bytes);
  w.wide(s.arena_buffer_bytes);
  w.wide(s.live_bytes);
  w.word(s.done ? 1 : 0);
  write(w, s.uploads);
  write(w, s.once);
  write(w, s.steps);
  write(w, s.reads);
  w.word(s.outputs.size());
  for (const PortValue& value : s.outputs) write(w, value);
  w.blob(s.params.data(), s.params.size());
  return w.take();
}

std::string print(const Segment& segment) {
  std::string out = cat("segment arena ", segment.arena_bytes, " live ", segment.live_bytes,
                        segment.done ? " done\n" : "\n");
  const auto port = [&](std::string_view what, const Port& p) {
    out += cat("  ", what, " ", p.index, " ", name_of(p.dtype));
    append(out, p.dims);
    if (p.on_host) {
      out += " host";
    } else {
      out += ' ';
      append(out, p.slice);
    }
    out += '\n';
  };
  const auto value = [&](const PortValue& v, const std::string& indent, const auto& self) -> void {
    if (v.kind == Type::Kind::kTensor) return port(cat(indent, "output"), v.port);
    out += cat("  ", indent, "output of ", v.elements.size(), "\n");
    for (const PortValue& element : v.elements) self(element, cat(indent, "  "), self);
  };
  const auto steps = [&](std::string_view what, const std::vector<Step>& list) {
    for (const Step& step : list) {
      out +=
          cat("  ", what, " node ", step.node,
              step.kind == StepKind::kCopy ? std::string(" copy") : cat(" program ", step.program));
      for (const Slice& s : step.slices) {
        out += ' ';
        append(out, s);
      }
      out += cat(" workgroups ", step.workgroups[0], "x", step.workgroups[1], "x",
                 step.workgroups[2], "\n");
    }
  };
  for (const Port& p : segment.uploads) port("upload", p);
  steps("once", segment.once);
  steps("step", segment.steps);
  for (const Port& p : segment.reads) port("read", p);
  for (const PortValue& v : segment.outputs) value(v, "", value);
  return out;
}

}  // namespace quern
