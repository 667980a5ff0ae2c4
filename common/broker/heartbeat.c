#include "common/broker/private.h"

enum { SILENT_TICKS_MAX = 4 }; /* two heartbeats, at two ticks each */

/* Both rules hold also while the server blocks us: it still sends heartbeats, and does not miss ours. No
 * heartbeat is added while octets wait for the socket: those show that we live, once they go out.
 */
void broker_heartbeat_tick(struct broker *b)
{
    static const uint8_t heartbeat[] = {AMQP_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, AMQP_FRAME_END};
    if (++b->silent_ticks > SILENT_TICKS_MAX) {
        broker_fail(b, "the server sent nothing for two heartbeats of %d s", b->heartbeat_s);
        return;
    }
    if (!b->sent_since_tick && !ev_is_active(&b->io_write))
        broker_output_raw(b, heartbeat, sizeof(heartbeat));
    b->sent_since_tick = false;
}
