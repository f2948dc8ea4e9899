// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/stage_description.h"

#include <algorithm>
#include <map>
#include <string>

namespace dispatch::stage {

namespace {

// In a bin: a pipeline has a clock and a bus of its own.
constexpr auto kParseFlags = static_cast<GstParseFlags>(
    GST_PARSE_FLAG_FATAL_ERRORS | GST_PARSE_FLAG_PLACE_IN_BIN |
    GST_PARSE_FLAG_NO_SINGLE_ELEMENT_BINS);

std::string name_of(gpointer object) { return GST_OBJECT_NAME(object); }

// Parentheses in the description. Any other bin is an element like the others.
bool is_parentheses(GstElement* element) {
  return G_OBJECT_TYPE(element) == GST_TYPE_BIN;
}

// In the order of the description, what stands in parentheses right after them:
// a bin puts new children in front.
void add_elements(GstElement* bin, std::vector<GstElement*>& elements) {
  std::vector<GstElement*> children;
  for (GList* l = GST_BIN_CHILDREN(bin); l != nullptr; l = l->next)
    children.push_back(GST_ELEMENT_CAST(l->data));
  std::reverse(children.begin(), children.end());
  for (GstElement* child : children) {
    elements.push_back(child);
    if (is_parentheses(child)) add_elements(child, elements);
  }
}

GstElement* parse_bin(const std::string& description, GError** error) {
  return gst_parse_bin_from_description_full(description.c_str(), FALSE,
                                             nullptr, kParseFlags, error);
}

// A description that begins or ends with caps does not parse by itself. What
// else is wrong with it is wrong with these ends too.
ElementPtr parse_with_or_without_ends(const std::string& description,
                                      std::string& problem) {
  GstElement* bin = parse_bin(description, nullptr);
  if (bin == nullptr) {
    g_autoptr(GError) error = nullptr;
    bin = parse_bin("identity ! " + description + " ! identity", &error);
    if (bin == nullptr) problem = error->message;
  }
  if (bin != nullptr && !is_parentheses(bin)) {
    // A description of one element comes back bare.
    GstElement* outer = gst_bin_new(nullptr);
    gst_bin_add(GST_BIN(outer), bin);
    bin = outer;
  }
  return sink_object(bin);
}

bool is_name_character(char c) {
  return g_ascii_isalnum(c) || c == '_' || c == '-';
}

// Whether the user gave the element this name: "name=NAME" stands somewhere.
bool is_named_in(const std::string& description, const std::string& name) {
  for (std::size_t at = description.find(name); at != std::string::npos;
       at = description.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    const bool is_whole =
        end == description.size() || !is_name_character(description[end]);
    const std::size_t before = description.find_last_not_of(" \t\"'", at - 1);
    if (at > 0 && is_whole && before != std::string::npos &&
        description[before] == '=')
      return true;
  }
  return false;
}

// gst_object_set_name() refuses once there is a parent, and parsing gives one.
// Nobody else has seen these elements yet.
void rename_child(GstElement* element, const std::string& name) {
  GST_OBJECT_LOCK(element);
  g_free(GST_OBJECT_NAME(element));
  GST_OBJECT_NAME(element) = g_strdup(name.c_str());
  GST_OBJECT_UNLOCK(element);
}

const char* factory_name(GstElement* element) {
  GstElementFactory* factory = gst_element_get_factory(element);
  return factory != nullptr ? GST_OBJECT_NAME(factory) : "element";
}

// Names are looked up through parentheses, so they are counted through them.
void name_alike(const std::vector<GstElement*>& elements,
                const std::string& description) {
  std::map<std::string, unsigned> counts;
  for (GstElement* element : elements) {
    if (is_named_in(description, name_of(element))) continue;
    const std::string factory = factory_name(element);
    std::string name;
    do {
      name = factory + std::to_string(counts[factory]++);
    } while (is_named_in(description, name));
    rename_child(element, name);
  }
}

std::string media_of(const GstStructure* structure) {
  return gst_structure_get_name(structure);
}

void add_media(GstCaps* caps, std::vector<std::string>& media) {
  if (gst_caps_is_any(caps)) return;
  for (guint i = 0; i < gst_caps_get_size(caps); ++i)
    media.push_back(media_of(gst_caps_get_structure(caps, i)));
}

core::ElementFacts facts_of(GstElement* element) {
  core::ElementFacts facts;
  facts.name = name_of(element);
  auto* element_class = GST_ELEMENT_GET_CLASS(element);
  const gchar* klass =
      gst_element_class_get_metadata(element_class, GST_ELEMENT_METADATA_KLASS);
  facts.klass = klass != nullptr ? klass : "";
  for (GList* l = gst_element_class_get_pad_template_list(element_class);
       l != nullptr; l = l->next) {
    auto* templ = GST_PAD_TEMPLATE(l->data);
    const bool is_sink = GST_PAD_TEMPLATE_DIRECTION(templ) == GST_PAD_SINK;
    g_autoptr(GstCaps) caps = gst_pad_template_get_caps(templ);
    add_media(caps, is_sink ? facts.sink_media : facts.src_media);
  }
  return facts;
}

bool has_pad(GstElement* element, GstPadDirection direction) {
  const GList* pads =
      direction == GST_PAD_SINK ? element->sinkpads : element->srcpads;
  return pads != nullptr;
}

// Whether the stage uses request pads of `element`, or would have to.
bool needs_request_pads(GstElement* element) {
  for (GList* l = element->pads; l != nullptr; l = l->next) {
    GstPadTemplate* templ = GST_PAD_PAD_TEMPLATE(GST_PAD_CAST(l->data));
    if (templ != nullptr && GST_PAD_TEMPLATE_PRESENCE(templ) == GST_PAD_REQUEST)
      return true;
  }
  for (GList* l = gst_element_class_get_pad_template_list(
           GST_ELEMENT_GET_CLASS(element));
       l != nullptr; l = l->next)
    if (GST_PAD_TEMPLATE_PRESENCE(l->data) == GST_PAD_REQUEST &&
        !has_pad(element, GST_PAD_TEMPLATE_DIRECTION(l->data)))
      return true;
  return false;
}

bool is_source_or_sink(GstElement* element) {
  return !is_parentheses(element) &&
         (GST_OBJECT_FLAG_IS_SET(element, GST_ELEMENT_FLAG_SOURCE) ||
          GST_OBJECT_FLAG_IS_SET(element, GST_ELEMENT_FLAG_SINK));
}

// Why this element can never be part of a stage; empty if it can.
std::string refusal_of(GstElement* element) {
  const std::string name = name_of(element);
  for (GList* l = gst_element_class_get_pad_template_list(
           GST_ELEMENT_GET_CLASS(element));
       l != nullptr; l = l->next)
    if (GST_PAD_TEMPLATE_PRESENCE(l->data) == GST_PAD_SOMETIMES)
      return "'" + name +
             "' adds pads while it runs; a stage needs all its pads from the "
             "start, so put it before or after this element";
  if (needs_request_pads(element))
    return "'" + name +
           "' is linked by request pads; a stage is one chain without "
           "branches, so put it before or after this element";
  if (is_source_or_sink(element))
    return "'" + name +
           "' is a source or a sink; a stage only has filters, so put it "
           "before or after this element";
  return {};
}

// None where one is linked: what else is open there is optional.
std::vector<GstPad*> open_pads(GstElement* element, GstPadDirection direction) {
  std::vector<GstPad*> pads;
  if (is_parentheses(element)) return pads;
  for (GList* l = element->pads; l != nullptr; l = l->next) {
    auto* pad = GST_PAD_CAST(l->data);
    if (GST_PAD_DIRECTION(pad) != direction) continue;
    if (gst_pad_is_linked(pad)) return {};
    pads.push_back(pad);
  }
  return pads;
}

// Of several open pads of one element, the one that carries the stream:
// "textoverlay" also has an optional "text_sink".
GstPad* main_pad(const std::vector<GstPad*>& pads) {
  if (pads.size() == 1) return pads.front();
  for (const char* name : {"sink", "video_sink", "src"})
    for (GstPad* pad : pads)
      if (name_of(pad) == name) return pad;
  return nullptr;
}

// The same pad as it is seen from outside of all parentheses.
PadPtr ghost_outwards(GstPad* pad, GstElement* stage) {
  PadPtr outer = share_object(pad);
  GstObject* bin = GST_OBJECT_PARENT(GST_OBJECT_PARENT(pad));
  for (; bin != GST_OBJECT_CAST(stage); bin = GST_OBJECT_PARENT(bin)) {
    GstPad* ghost = gst_ghost_pad_new(nullptr, outer.get());
    gst_element_add_pad(GST_ELEMENT_CAST(bin), ghost);
    outer = share_object(ghost);
  }
  return outer;
}

struct OpenPad {
  PadPtr pad;
  std::string problem;
};

// The one open pad of the stage in this direction.
OpenPad find_open_pad(GstElement* stage,
                      const std::vector<GstElement*>& elements,
                      GstPadDirection direction) {
  const std::string kind = direction == GST_PAD_SINK ? "sink" : "src";
  std::vector<GstElement*> owners;
  for (GstElement* element : elements)
    if (!open_pads(element, direction).empty()) owners.push_back(element);
  if (owners.empty())
    return {nullptr, "has no open " + kind +
                         " pad; its first element needs a sink pad and its "
                         "last one a src pad"};
  if (owners.size() > 1)
    return {nullptr, "has more than one open " + kind + " pad, of '" +
                         name_of(owners[0]) + "' and '" + name_of(owners[1]) +
                         "'; link its elements with '!'"};
  GstPad* pad = main_pad(open_pads(owners[0], direction));
  if (pad == nullptr)
    return {nullptr, "leaves several " + kind + " pads of '" +
                         name_of(owners[0]) +
                         "' open, and none of them is the main one"};
  return {ghost_outwards(pad, stage), {}};
}

StageError error(const std::string& text) {
  return {"The property 'stage' cannot be used: " + text + "."};
}

}  // namespace

std::variant<ParsedStage, StageError> parse_stage(
    const std::string& description) {
  if (description.find_first_not_of(" \t\n") == std::string::npos)
    return error(
        "it is empty; set it to a launch description such as \"videoconvert ! "
        "videobalance saturation=0\"");
  ParsedStage stage;
  std::string problem;
  stage.bin = parse_with_or_without_ends(description, problem);
  if (!stage.bin) return error("\"" + description + "\": " + problem);
  std::vector<GstElement*> elements;
  add_elements(stage.bin.get(), elements);
  name_alike(elements, description);
  for (GstElement* element : elements) {
    problem = refusal_of(element);
    if (!problem.empty()) return error(problem);
    stage.facts.push_back(facts_of(element));
  }
  for (const auto direction : {GST_PAD_SINK, GST_PAD_SRC}) {
    OpenPad open = find_open_pad(stage.bin.get(), elements, direction);
    if (!open.pad) return error("\"" + description + "\" " + open.problem);
    (direction == GST_PAD_SINK ? stage.open_sink : stage.open_src) =
        std::move(open.pad);
  }
  return stage;
}

}  // namespace dispatch::stage
