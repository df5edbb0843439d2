// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The LLM session for Python. Generation runs without the GIL; it takes it for the callback, and
// once a token to see whether the user pressed Ctrl-C.

#include "Bindings.h"

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Session.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace buddy::runtime;

namespace {

/// Throws Python's KeyboardInterrupt, which unwinds the generation, when Ctrl-C was pressed.
bool checkSignals() {
  py::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0)
    throw py::error_already_set();
  return false;
}

py::dict toPython(const Session &session, const Generation &generation) {
  const Timings &timings = generation.timings;
  py::dict result;
  result["ids"] = generation.ids;
  result["text"] = generation.text;
  result["finish_reason"] = name(generation.reason);
  result["prompt_tokens"] = timings.promptTokens;
  result["reused_tokens"] = timings.reusedTokens;
  result["new_tokens"] = timings.newTokens;
  result["ttft_s"] = timings.firstTokenSeconds;
  result["prefill_tok_s"] = timings.prefillTokensPerSecond;
  result["decode_tok_s"] = timings.decodeTokensPerSecond;
  result["load_s"] = session.loadSeconds();
  result["threads"] = threadCount();
  return result;
}

py::dict generate(Session &session, const std::vector<TokenId> &prompt, int64_t maxTokens,
                  double temperature, int64_t topK, double topP, uint64_t seed,
                  std::optional<std::vector<TokenId>> stopIds, const py::object &onToken) {
  GenerateOptions options;
  options.maxTokens = maxTokens;
  options.sampler = {temperature, topK, topP, seed};
  options.stopIds = std::move(stopIds);
  options.shouldStop = checkSignals;
  if (!onToken.is_none())
    options.onToken = [&onToken](TokenId id, std::string_view piece) {
      py::gil_scoped_acquire acquire;
      py::object answer = onToken(id, piece);
      return !py::isinstance<py::bool_>(answer) || answer.cast<bool>();
    };
  Generation generation;
  {
    py::gil_scoped_release release;
    generation = session.generate(prompt, options);
  }
  return toPython(session, generation);
}

/// The logits as little-endian float32 bytes: the extension needs no numpy.
py::bytes evaluate(Session &session, const std::vector<TokenId> &prompt) {
  const float *logits;
  {
    py::gil_scoped_release release;
    logits = session.evaluate(prompt);
  }
  return py::bytes(reinterpret_cast<const char *>(logits),
                   session.package().vocabSize * sizeof(float));
}

std::string renderChat(const Session &session,
                       const std::vector<std::map<std::string, std::string>> &messages) {
  std::vector<Message> turns;
  for (const auto &message : messages) {
    auto role = message.find("role"), content = message.find("content");
    if (role == message.end() || content == message.end())
      throw ArgumentError("a chat message needs 'role' and 'content'");
    turns.push_back({role->second, content->second});
  }
  return session.renderChat(turns);
}

} // namespace

void buddy::runtime::bindSession(py::module_ &module) {
  py::class_<Session>(module, "Session", "A model package that generates text.")
      .def(py::init<const std::string &, int>(), py::arg("package_dir"), py::arg("threads") = 0,
           py::call_guard<py::gil_scoped_release>())
      .def("generate", &generate, py::arg("prompt_ids"), py::arg("max_tokens") = 256,
           py::arg("temperature") = 0.0, py::arg("top_k") = 0, py::arg("top_p") = 1.0,
           py::arg("seed") = 0, py::arg("stop_ids") = py::none(), py::arg("on_token") = py::none(),
           "Generate after the prompt; a dict of ids, text, finish_reason and timings.\n\n"
           "stop_ids None: the package's. on_token(id, text) may return False to end generation.")
      .def("evaluate", &evaluate, py::arg("prompt_ids"),
           "The logits after the prompt, as float32 bytes.")
      .def("encode", &Session::encodePrompt, py::arg("text"),
           "Token ids of a prompt, the package's beginning-of-sequence token included.")
      .def(
          "decode",
          [](const Session &self, const std::vector<TokenId> &ids) {
            return self.tokenizer().decode(ids);
          },
          py::arg("ids"))
      .def("render_chat", &renderChat, py::arg("messages"),
           "A conversation [{'role', 'content'}] as the text the model wants.")
      .def_property_readonly(
          "has_chat_template",
          [](const Session &self) { return self.package().chatTemplate.has_value(); })
      .def_property_readonly("eos", [](const Session &self) { return self.package().eos; })
      .def_property_readonly("vocab_size",
                             [](const Session &self) { return self.package().vocabSize; })
      .def_property_readonly("max_seq_len",
                             [](const Session &self) { return self.package().maxSeqLen; })
      .def_property_readonly("load_s", &Session::loadSeconds)
      .def("reset", &Session::reset, "Forget the conversation.");
  py::class_<Tokenizer>(module, "Tokenizer", "Text to token ids and back.")
      .def(py::init([](const std::string &kind, const std::string &path) {
             return openTokenizer(kind, path);
           }),
           py::arg("kind"), py::arg("path"))
      .def("encode",
           [](const Tokenizer &self, const std::string &text) { return self.encode(text); })
      .def("decode", &Tokenizer::decode)
      .def("bytes",
           [](const Tokenizer &self, TokenId id) { return py::bytes(std::string(self.bytes(id))); })
      .def("__len__", &Tokenizer::size);
}
