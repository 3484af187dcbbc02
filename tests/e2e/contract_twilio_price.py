"""A unit price that a reload takes away: what is counted and cannot be billed any more is shown, and waits for one."""

import signal

from contract_twilio import AtTwilio, billing_sid
from harness import wait_until


class Repricing(AtTwilio):
    def test_a_bucket_whose_price_a_reload_took_away_is_shown_until_it_has_one_again(self):
        self.begin()
        self.count(400)
        text = self.device.config_file.read_text()
        for config, unpriced in ((text.replace(billing_sid(0), billing_sid(1)), 1), (text, 0)):
            self.device.config_file.write_text(config)
            self.device.process.send_signal(signal.SIGHUP)
            wait_until("it is reloaded", lambda unpriced=unpriced: len(self.attention()) == unpriced, 20)
            self.assertEqual("no [[meter]] has a unit_price" in "".join(self.attention()), unpriced == 1)
        self.device.drain(20)
        self.assertEqual(self.charged(), 3)

    def attention(self):
        return [one["what"] for one in self.device.get("/status")["attention"]]
