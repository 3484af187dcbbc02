# Where sources are compiled together (together.cmake): those with names of their own that another source of
# their layer or test has too, in its unnamed namespace. They are compiled by themselves.
# A type's members may be of an unnamed namespace there, although it is in no header.
target_compile_options(meterd_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
function(meterd_apart target folder)
  if(NOT TARGET ${target})
    return()
  endif()
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/${folder}/)
  set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
meterd_apart(meterd_platform_linux platform/linux sockets.cpp)
meterd_apart(meterd_config agent/app config_values.cpp)
meterd_apart(meterd_api agent/api chargebee/filters.cpp)
meterd_apart(meterd_ctl agent/ctl render_usages.cpp)
meterd_apart(meter_test tests/meter time_zone_test.cpp)
meterd_apart(journal_test tests/journal schema_test.cpp)
meterd_apart(ingest_test tests/ingest batcher_full_test.cpp batcher_test.cpp)
meterd_apart(source_test tests/source contract_test.cpp nftables_step_test.cpp shared_counters_hostile_test.cpp)
meterd_apart(chargebee_test tests/upstream chargebee_test.cpp)
meterd_apart(api_test tests/api api_values_test.cpp doctor_test.cpp metrics_test.cpp
             request_reader_test.cpp status_samples.cpp)
meterd_apart(usages_api_test tests/api usages_form_test.cpp)
meterd_apart(ctl_render_test tests/ctl render_status_test.cpp render_usages_test.cpp)
meterd_apart(power_trials tests/power workload.cpp)
meterd_apart(meterd_sim tests/sim charge_caller.cpp counted.cpp counted_memory.cpp
             counted_messages.cpp fault_schedule.cpp inlet.cpp operator.cpp plan.cpp
             reporter.cpp simulation_charges.cpp simulation_end.cpp twilio_model.cpp)
