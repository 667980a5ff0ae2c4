#include "gateway/centrifuge/private.h"

bool session_may_work(struct session *session, uint32_t id)
{
    if (session->work_count < session_gateway(session)->config->ws_max_calls)
        return true;
    reply_error(session, id, CENTRIFUGE_ERROR_TOO_MANY_REQUESTS);
    return false;
}

void session_work_begin(struct session *session, uint32_t id, struct session_work *work,
                        void (*drop)(struct session_work *work))
{
    *work = (struct session_work){
        .session = session, .next = session->works, .place = &session->works, .command = id, .drop = drop};
    if (session->works)
        session->works->place = &work->next;
    session->works = work;
    session->work_count++;
}

void session_work_hold(struct session_work *work, size_t bytes)
{
    work->bytes = (uint32_t)bytes;
    work->session->work_bytes += work->bytes;
}

void session_work_end(struct session_work *work)
{
    *work->place = work->next;
    if (work->next)
        work->next->place = work->place;
    work->session->work_count--;
    work->session->work_bytes -= work->bytes;
}

void session_drop_works(struct session *session)
{
    while (session->works) {
        struct session_work *work = session->works;
        session_work_end(work);
        work->drop(work);
    }
}
