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
    if (auto s = txn_.erase(invoiced_key(record.invoice_id(), sequence)); !s) return s;
  record.set_invoice_id(invoice);
  record.set_line_item_id(line_item);
  record.set_resource_version(take_version(*general, now));
  if (auto s = put_general(*general); !s) return s;
  if (!invoice.empty())
    if (auto s = store_empty(txn_, invoiced_key(invoice, sequence)); !s) return s;
  return store(txn_, usage_key(sequence), record);
}

Status WriteTransaction::detach(std::uint64_t sequence, const Moment& now) {
  return attach(sequence, "", "", now);
}

Result<std::vector<StoredUsage>> WriteTransaction::usages_of_invoice(std::string_view id, std::uint64_t after,
                                                                     std::size_t at_most) const {
  std::vector<std::uint64_t> sequences;
  auto scanned = txn_.scan(invoiced_prefix(id), invoiced_key(id, after + 1),
                           [&](std::string_view key, std::string_view) {
                             if (auto sequence = parse_invoiced_key(key)) sequences.push_back(*sequence);
                             return sequences.size() < at_most;
                           });
  if (!scanned) return scanned.error();
  return usages_of(sequences);
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

Result<std::vector<StoredUsage>> read_invoiced(const Journal& journal, const std::string& invoice,
                                               std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  auto usages = WriteTransaction(std::move(*txn)).usages_of_invoice(invoice, 0, at_most + 1);
  if (usages && usages->size() > at_most)
    return Error{Code::invalid, "the invoice has more than " + std::to_string(at_most) + " usages"};
  return usages;
}

}  // namespace meterd::journal
