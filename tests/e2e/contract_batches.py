"""Requests of many items: what waits together for Twilio's V1 leaves together, in as few requests as `batch` allows."""

from contract_twilio import TwilioCaller
from twilio import billing_sid


class TwilioBatches(TwilioCaller):
    def report(self, items, first=0):
        """One call: so many items, each of a billing sid of its own."""
        status, answer = self.v1(*((billing_sid(first + n), first + n + 1) for n in range(items)))
        self.assertEqual((status, len(answer["billable_items"])), (202, items))

    def sizes(self):
        """Of the requests that were accepted."""
        return [len(request["charges"]) for request in self.requests() if request["status"] == 202]

    def test_a_thousand_items_of_an_installation_leave_in_ten_requests(self):
        self.begin(meters=0, batch=100)
        self.report(1000)
        self.device.drain(30)
        self.assertEqual(self.sizes(), [100] * 10)
        self.assertEqual(self.charged(), 500_500)
        self.assert_sound()

    def test_a_thousand_that_waited_for_the_upstream_leave_in_hardly_more(self):
        self.sandbox.stop()
        self.begin(meters=0, batch=100)
        for n in range(10):
            self.report(100, first=100 * n)
        self.sandbox = self.make_sandbox(port=self.sandbox.port)
        self.device.drain(30)
        self.assertEqual(sum(self.sizes()), 1000)
        self.assertLessEqual(len(self.sizes()), 13, "one at a time only until it is known that the upstream is back")
        self.assertEqual(self.charged(), 500_500)
