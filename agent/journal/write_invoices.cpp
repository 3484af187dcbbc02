// Invoices that are made on the device, and which usages are part of them.
#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

Result<std::optional<v0::Invoice>> WriteTransaction::invoice(std::string_view id) const {
  return load<v0::Invoice>(txn_, invoice_key(id));
}

Status WriteTransaction::put_invoice(std::string_view id, const v0::Invoice& invoice) {
  return store(txn_, invoice_key(id), invoice);
}

Status WriteTransaction::erase_invoice(std::string_view id) { return txn_.erase(invoice_key(id)); }

Result<std::vector<WriteTransaction::NamedInvoice>> WriteTransaction::invoices() const {
  std::vector<NamedInvoice> out;
  Status failed;
  auto scanned = txn_.scan(prefix(Kind::invoice), "", [&](std::string_view key, std::string_view value) {
    const auto payload = unwrap(key, value);
    v0::Invoice invoice;
    if (!payload || !invoice.ParseFromArray(payload->data(), static_cast<int>(payload->size()))) {
      failed = Error{Code::corrupt, "an invoice's record cannot be read"};
      return false;
    }
    out.emplace_back(key.substr(2), std::move(invoice));  // kind, length, text
    return true;
  });
  if (!scanned) return scanned.error();
  if (!failed) return failed.error();
  return out;
}

Status WriteTransaction::attach(std::uint64_t sequence, const std::string& invoice,
                                const std::string& line_item, const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  auto general = this->general();
  if (!general) return general.error();
  auto& record = stored->record;
  if (!record.invoice_id().empty())
    if (auto s = txn_.erase(invoiced_key(record, sequence)); !s) return s;
  record.set_invoice_id(invoice);
  record.set_line_item_id(line_item);
  record.set_resource_version(take_version(*general, now));
  if (auto s = put_general(*general); !s) return s;
  if (!invoice.empty())
    if (auto s = store_empty(txn_, invoiced_key(record, sequence)); !s) return s;
  return store(txn_, usage_key(sequence), record);
}

Status WriteTransaction::note_invoice(std::uint64_t sequence, const std::string& invoice,
                                      const std::string& line_item, const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  if (auto s = attach(sequence, invoice, line_item, now); !s || invoice.empty()) return s;
  return end_refused_deletions(UpstreamName(stored->record.upstream()), sequence, now);
}

Result<std::vector<std::uint64_t>> WriteTransaction::on_invoice(const UpstreamName& upstream,
                                                                std::string_view id,
                                                                std::size_t at_most) const {
  std::vector<std::uint64_t> out;
  auto scanned = txn_.scan(invoiced_prefix(upstream, id), "", [&](std::string_view key, std::string_view) {
    if (auto sequence = parse_invoiced_key(key)) out.push_back(*sequence);
    return out.size() < at_most;
  });
  if (!scanned) return scanned.error();
  return out;
}

Result<std::size_t> WriteTransaction::detach(const UpstreamName& upstream, const std::string& id,
                                             std::size_t at_most, const Moment& now) {
  const auto sequences = on_invoice(upstream, id, at_most);
  if (!sequences) return sequences.error();
  for (const auto sequence : *sequences) {
    auto stored = usage_if_kept(sequence);
    const bool lost = stored ? !stored->has_value() : stored.error().code == Code::corrupt;
    if (!stored && !lost) return stored.error();
    const Status given_back =
        lost ? txn_.erase(invoiced_key(upstream, id, sequence)) : attach(sequence, "", "", now);
    if (!given_back) return given_back.error();
  }
  return sequences->size();
}

Result<std::vector<StoredUsage>> WriteTransaction::usages_of_invoice(const UpstreamName& upstream,
                                                                     std::string_view id,
                                                                     std::size_t at_most) const {
  const auto sequences = on_invoice(upstream, id, at_most);
  if (!sequences) return sequences.error();
  return usages_of(*sequences);
}

Result<std::vector<InvoiceRow>> read_invoices(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  auto invoices = WriteTransaction(std::move(*txn)).invoices();
  if (!invoices) return invoices.error();
  std::vector<InvoiceRow> out;
  for (auto& [id, invoice] : *invoices) out.push_back({std::move(id), std::move(invoice)});
  return out;
}

}  // namespace meterd::journal
