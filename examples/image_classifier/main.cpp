// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is in a picture: classify PACKAGE IMAGE.png. Everything about the model is in the package,
// how it wants its pixels too.

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Program.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <numeric>
#include <png.h>
#include <string>
#include <vector>

using namespace buddy::runtime;

/// A PNG file as [height, width, 3], whatever it holds: gray, palette or alpha become RGB.
static MemRef<uint8_t, 3> readImage(const char *path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path))
    throw ModelError(path, image.message);
  image.format = PNG_FORMAT_RGB;
  MemRef<uint8_t, 3> pixels({image.height, image.width, 3});
  const png_color white{255, 255, 255};
  if (!png_image_finish_read(&image, &white, pixels.data(), 0, nullptr))
    throw ModelError(path, image.message);
  return pixels;
}

static std::vector<std::string> readLines(const std::string &path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  return lines;
}

static void classify(const std::string &directory, const char *path) {
  constexpr int64_t shown = 5;
  Program program(directory);
  MemRef<uint8_t, 3> image = readImage(path);
  MemRef<float, 1> probabilities({program.outputs().at(0).shape.at(0)});
  program.bindInput("image", image);
  program.bindOutput("probabilities", probabilities);
  program.run();

  std::vector<std::string> labels = readLines(directory + "/labels.txt");
  std::vector<int64_t> classes(probabilities.size(0));
  std::iota(classes.begin(), classes.end(), 0);
  auto end = classes.begin() + std::min<int64_t>(shown, probabilities.size(0));
  std::partial_sort(classes.begin(), end, classes.end(),
                    [&](int64_t a, int64_t b) { return probabilities[a] > probabilities[b]; });
  for (auto it = classes.begin(); it != end; ++it) {
    bool named = *it < static_cast<int64_t>(labels.size());
    std::string name = named ? labels[*it] : "class " + std::to_string(*it);
    std::printf("%5.1f %%  %s\n", 100 * probabilities[*it], name.c_str());
  }
}

int main(int count, char **arguments) {
  if (count != 3) {
    std::cerr << "usage: classify PACKAGE IMAGE.png\n";
    return 2;
  }
  try {
    classify(arguments[1], arguments[2]);
    return 0;
  } catch (const std::exception &error) {
    std::cerr << "classify: " << error.what() << "\n";
    return 1;
  }
}
