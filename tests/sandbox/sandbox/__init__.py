"""The billing sandbox: an independent oracle for what a client of three usage APIs has really charged.

It knows nothing of meterd. It is strict wherever the vendor's documentation speaks; where the documentation is
silent it takes the answer that is hardest on a client, and a comment says so ("undocumented").

    options, main       the command line; start and stop
    http, server        requests in, answers out, one task for each connection
    site                the vendors: which one a request is for, and what they share
    auth, rate, params  credentials, the rate limit, forms
    chargebee           authentication, routes, idempotency     -> usages, listing, downloads (the operations)
    twilio              authentication, routes, V1 and Preview  -> billable_items, misreports (V1's bodies), charges
    errors              Chargebee's error shape; twilio_errors has Twilio's
    pdf                 a page of text, for downloads
    ledger, totals      what Chargebee charged, exactly; charges: what Twilio did
    ledger_file         the file it survives in
    kinds, faults       what can go wrong; what hits the next request
    canned, wire        the answers that some faults give; what each fault does to the connection
    control, console    /_sandbox/: looking into the sandbox and steering it; a person's changes behind the client
"""
