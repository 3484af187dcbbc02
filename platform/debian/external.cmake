# Run by CPack, with the files of the components in its folders.
execute_process(COMMAND ${CPACK_METERD_SOURCE}/platform/debian/pack --staged ${CPACK_TEMPORARY_DIRECTORY}
                        --out ${CPACK_PACKAGE_DIRECTORY} --version ${CPACK_PACKAGE_VERSION} --triplet ${CPACK_METERD_TRIPLET}
                        --objcopy ${CPACK_METERD_OBJCOPY} --sysroot "${CPACK_METERD_SYSROOT}"
                COMMAND_ERROR_IS_FATAL ANY)
