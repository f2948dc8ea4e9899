// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/domain.h"

#include "os/cpu_limits.h"

// The domain's identity: what the context carries. GStreamer keeps it alive as
// long as an element or a bin holds the context.
struct GstDispatchDomain {
  GstObject parent;
  std::shared_ptr<dispatch::core::SharedSlowdown>* slowdown; /* owned */
};
struct GstDispatchDomainClass {
  GstObjectClass parent_class;
};
GType gst_dispatch_domain_get_type();
G_DEFINE_TYPE(GstDispatchDomain, gst_dispatch_domain, GST_TYPE_OBJECT);

static void gst_dispatch_domain_finalize(GObject* object) noexcept {
  delete reinterpret_cast<GstDispatchDomain*>(object)->slowdown;
  G_OBJECT_CLASS(gst_dispatch_domain_parent_class)->finalize(object);
}

static void gst_dispatch_domain_class_init(GstDispatchDomainClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_dispatch_domain_finalize;
}

static void gst_dispatch_domain_init(GstDispatchDomain* self) {
  self->slowdown = new auto(std::make_shared<dispatch::core::SharedSlowdown>());
}

namespace dispatch::stage {

namespace {

constexpr char kDomainField[] = "domain";
constexpr char kPathQuery[] = "gst-dispatch-path";
constexpr char kCountField[] = "automatic-elements";

// (transfer full) (nullable)
GstObject* domain_of(GstContext* context) {
  GstObject* domain = nullptr;
  gst_structure_get(gst_context_get_structure(context), kDomainField,
                    gst_dispatch_domain_get_type(), &domain, nullptr);
  return domain;
}

unsigned count_beyond(GstPad* pad, GstObject* domain) {
  const QueryPtr query(gst_query_new_custom(
      GST_QUERY_CUSTOM,
      gst_structure_new(kPathQuery, kDomainField,
                        gst_dispatch_domain_get_type(), domain, kCountField,
                        G_TYPE_UINT, 0U, nullptr)));
  gst_pad_peer_query(pad, query.get());
  guint count = 0;
  gst_structure_get_uint(gst_query_get_structure(query.get()), kCountField,
                         &count);
  return count;
}

}  // namespace

core::CpuAllowance& cpu_allowance() {
  // Never destroyed: elements may outlive static destruction.
  static auto* allowance = new core::CpuAllowance(os::usable_cpus());
  return *allowance;
}

ObjectPtr<GstObject> DomainMember::domain() const {
  const std::lock_guard lock(mutex_);
  return share_object(domain_.get());
}

std::shared_ptr<core::SharedSlowdown> DomainMember::slowdown() const {
  const ObjectPtr<GstObject> own = domain();
  if (!own) return nullptr;
  return *reinterpret_cast<GstDispatchDomain*>(own.get())->slowdown;
}

void DomainMember::take_domain(GstContext* context) {
  ObjectPtr<GstObject> domain(domain_of(context));
  const std::lock_guard lock(mutex_);
  domain_ = std::move(domain);
}

void DomainMember::on_context(GstContext* context) {
  if (gst_context_has_context_type(context, kDomainContextType))
    take_domain(context);
}

bool DomainMember::ask_neighbours() {
  const QueryPtr query(gst_query_new_context(kDomainContextType));
  for (GList* l = element_->pads; l != nullptr; l = l->next) {
    if (!gst_pad_peer_query(GST_PAD_CAST(l->data), query.get())) continue;
    GstContext* context = nullptr;
    gst_query_parse_context(query.get(), &context);
    if (context == nullptr) continue;
    gst_element_set_context(element_, context);
    return true;
  }
  return false;
}

void DomainMember::announce() {
  GstContext* context = gst_context_new(kDomainContextType, TRUE);
  const ObjectPtr<GstObject> domain(sink_object(
      GST_OBJECT_CAST(g_object_new(gst_dispatch_domain_get_type(), nullptr))));
  gst_structure_set(gst_context_writable_structure(context), kDomainField,
                    gst_dispatch_domain_get_type(), domain.get(), nullptr);
  gst_element_set_context(element_, context);
  gst_element_post_message(element_, gst_message_new_have_context(
                                         GST_OBJECT_CAST(element_), context));
}

void DomainMember::join() {
  if (domain() || ask_neighbours()) return;
  gst_element_post_message(
      element_, gst_message_new_need_context(GST_OBJECT_CAST(element_),
                                             kDomainContextType));
  if (!domain()) announce();
}

void DomainMember::leave() {
  const std::lock_guard lock(mutex_);
  domain_.reset();
}

unsigned DomainMember::automatic_elements_on_path(GstPad* sink, GstPad* src) {
  const ObjectPtr<GstObject> own = domain();
  if (!own) return 1;
  return 1 + count_beyond(sink, own.get()) + count_beyond(src, own.get());
}

bool DomainMember::count_on_path(GstQuery* query, GstPad* onward,
                                 bool is_automatic) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_CUSTOM) return false;
  GstStructure* structure = gst_query_writable_structure(query);
  if (structure == nullptr || !gst_structure_has_name(structure, kPathQuery))
    return false;
  GstObject* asked = nullptr;
  gst_structure_get(structure, kDomainField, gst_dispatch_domain_get_type(),
                    &asked, nullptr);
  const ObjectPtr<GstObject> theirs(asked);
  guint count = 0;
  gst_structure_get_uint(structure, kCountField, &count);
  if (is_automatic && theirs == domain())
    gst_structure_set(structure, kCountField, G_TYPE_UINT, count + 1, nullptr);
  gst_pad_peer_query(onward, query);
  return true;
}

}  // namespace dispatch::stage
